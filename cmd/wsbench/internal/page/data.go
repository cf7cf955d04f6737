package page

import (
	"math"
	"strconv"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/chart"
)

// data is what the script knows of a chart.
type data struct {
	Kind  string     `json:"kind"` // of the x axis: elapsed, quantile
	Unit  string     `json:"unit"` // count, bytes, duration (in ns), percent
	X     []number   `json:"x"`    // ascending
	At    []number   `json:"at"`   // their positions, percent from the left
	Names []string   `json:"names"`
	Y     [][]number `json:"y"`
}

// number is short in a file; a gap is null.
type number float64

// MarshalJSON writes six digits, or all before the point.
func (n number) MarshalJSON() ([]byte, error) {
	if v := float64(n); math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	if math.Abs(float64(n)) >= 1e6 {
		return strconv.AppendFloat(nil, float64(n), 'f', 0, 64), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', 6, 64), nil
}

// newData takes lines that have the same x values, as far as they go.
func newData(kind, unit string, lines []chart.Line, plot chart.Plot) data {
	d := data{Kind: kind, Unit: unit}
	for _, l := range lines {
		d.Names = append(d.Names, l.Name)
		y := make([]number, len(l.Values))
		for n, v := range l.Values {
			y[n] = number(v.Y)
			if n == len(d.X) {
				d.X = append(d.X, number(v.X))
				d.At = append(d.At, number(plot.Across(v.X)))
			}
		}
		d.Y = append(d.Y, y)
	}
	return d
}
