package chart

import (
	"fmt"
	"math"
	"strings"
)

// Size is the width and height of the view box that paths are drawn in.
const Size = 1000

// Value is one point of a line. A Y that is not a number is a gap.
type Value struct{ X, Y float64 }

// Gap is the Y where a line is interrupted.
func Gap() float64 { return math.NaN() }

// Line is one line of a chart.
type Line struct {
	Name   string
	Class  string // for the page's style
	Values []Value
}

// Tick is a labelled position on an axis.
type Tick struct {
	At   float64 // percent from the left, or from the bottom
	Text string
}

// Path is a line that has been laid out.
type Path struct {
	Name, Class string
	D           string // SVG path data; empty if there is nothing to draw
	Area        string // the surface below it, in a chart that has any
}

// Plot is a chart that has been laid out.
type Plot struct {
	X, Y   []Tick
	Paths  []Path
	Across func(x float64) float64 // where a value stands, percent from the left
}

// Spec says how a chart is laid out.
type Spec struct {
	Lines []Line
	X, Y  Axis
	Area  bool // fill below the lines
}

// Layout lays a chart out. Without any value its paths are empty.
func Layout(s Spec) Plot {
	x, y := s.X.scale(values(s.Lines, Value.x)), s.Y.scale(values(s.Lines, Value.y))
	p := Plot{X: x.ticks, Y: y.ticks, Across: func(v float64) float64 { return 100 * x.at(v) }}
	for _, l := range s.Lines {
		path := Path{Name: l.Name, Class: l.Class, D: trace(l.Values, x, y)}
		if s.Area {
			path.Area = area(l.Values, x, y)
		}
		p.Paths = append(p.Paths, path)
	}
	return p
}

func (v Value) x() float64 { return v.X }
func (v Value) y() float64 { return v.Y }

func values(lines []Line, of func(Value) float64) []float64 {
	var all []float64
	for _, l := range lines {
		for _, v := range l.Values {
			if f := of(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
				all = append(all, f)
			}
		}
	}
	return all
}

// parts cuts a line at its gaps.
func parts(values []Value) [][]Value {
	var all [][]Value
	begin := 0
	for i := 0; i <= len(values); i++ {
		if i < len(values) && !math.IsNaN(values[i].Y) && !math.IsInf(values[i].Y, 0) {
			continue
		}
		if i > begin {
			all = append(all, values[begin:i])
		}
		begin = i + 1
	}
	return all
}

// trace is the path of a line; a point between two gaps is a dot.
func trace(values []Value, x, y scale) string {
	var b strings.Builder
	for _, part := range parts(values) {
		for i, v := range part {
			verb := byte('L')
			if i == 0 {
				verb = 'M'
			}
			fmt.Fprintf(&b, "%c%s %s", verb, number(x.at(v.X)*Size), number((1-y.at(v.Y))*Size))
		}
		if len(part) == 1 {
			b.WriteString("h0.1")
		}
	}
	return b.String()
}

// area is the surface between a line and the bottom.
func area(values []Value, x, y scale) string {
	var b strings.Builder
	for _, part := range parts(values) {
		fmt.Fprintf(&b, "M%s %d", number(x.at(part[0].X)*Size), Size)
		for _, v := range part {
			fmt.Fprintf(&b, "L%s %s", number(x.at(v.X)*Size), number((1-y.at(v.Y))*Size))
		}
		fmt.Fprintf(&b, "L%s %dZ", number(x.at(part[len(part)-1].X)*Size), Size)
	}
	return b.String()
}

// number is as short as a tenth of a step of the view box allows.
func number(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}
