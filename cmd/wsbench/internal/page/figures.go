package page

import (
	"math"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/chart"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// figure is a chart on the page.
type figure struct {
	Name  string
	Note  string
	Marks []float64 // where a phase ends, percent from the left
	chart.Plot
}

// phase is a part of the time axis, in percent.
type phase struct {
	Name        string
	Left, Width float64
}

// topic is a chart over time before it is laid out.
type topic struct {
	name, note string
	unit       string // for the pointer's values
	axis       chart.Axis
	area       bool
	lines      []series
}

// series is one line of a topic.
type series struct {
	name, class string
	of          func(p *report.Point) float64
}

// phases are the stretches of the same phase and target.
func phases(points []report.Point) []phase {
	var all []phase
	if len(points) == 0 {
		return nil
	}
	end := points[len(points)-1].At
	begin := 0.0
	for i, p := range points {
		if i+1 < len(points) && points[i+1].Phase == p.Phase && points[i+1].Target == p.Target {
			continue
		}
		name := p.Phase
		if p.Target != "" && p.Target != points[0].Target {
			name += ", " + p.Target
		}
		if end > 0 {
			all = append(all, phase{name, 100 * begin / end, 100 * (p.At - begin) / end})
		}
		begin = p.At
	}
	return all
}

func percentile(of func(*report.Percentiles) time.Duration) func(*report.Point) float64 {
	return func(p *report.Point) float64 {
		if p.Latency == nil {
			return chart.Gap()
		}
		return float64(of(p.Latency))
	}
}

// known is a gap where nothing was measured.
func known(v float64) float64 {
	if v == 0 {
		return chart.Gap()
	}
	return v
}

func topics() []topic {
	duration := func(v float64) string { return report.Short(time.Duration(v)) }
	percent := func(v float64) string { return report.Plain(v) + " %" }
	return []topic{
		{name: "Connections", unit: "count", axis: chart.Axis{Kind: chart.Count}, area: true, lines: []series{
			{"ready", "a", func(p *report.Point) float64 { return float64(p.Connections) }},
			{"failed", "bad", func(p *report.Point) float64 { return known(float64(p.Failed)) }},
		}},
		{name: "Messages received per second", unit: "count", axis: chart.Axis{Kind: chart.Count}, lines: []series{
			{"messages/s", "a", func(p *report.Point) float64 { return p.Messages }},
		}},
		{name: "Latency", note: "in each second", unit: "duration", axis: chart.Axis{Kind: chart.Log, Label: duration}, lines: []series{
			{"max", "max", percentile(func(l *report.Percentiles) time.Duration { return l.Max })},
			{"p99", "p99", percentile(func(l *report.Percentiles) time.Duration { return l.P99 })},
			{"p90", "p90", percentile(func(l *report.Percentiles) time.Duration { return l.P90 })},
			{"p50", "p50", percentile(func(l *report.Percentiles) time.Duration { return l.P50 })},
		}},
		{name: "Resident memory", unit: "bytes", axis: chart.Axis{Kind: chart.Bytes}, lines: []series{
			{"server", "a", func(p *report.Point) float64 { return known(float64(p.ServerRSS)) }},
			{"wsbench", "b", func(p *report.Point) float64 { return known(float64(p.ClientRSS)) }},
		}},
		{name: "CPU", note: "percent of a core", unit: "percent", axis: chart.Axis{Kind: chart.Count, Label: percent}, lines: []series{
			{"server", "a", func(p *report.Point) float64 { return known(p.ServerCPU) }},
			{"wsbench", "b", func(p *report.Point) float64 { return p.ClientCPU }},
		}},
	}
}

// figures are all charts that have something to show, and the values that the
// pointer shows of each.
func figures(r *report.Result) ([]figure, []data) {
	var all []figure
	var values []data
	var marks []float64
	for _, p := range phases(r.Series) {
		if end := p.Left + p.Width; end < 99.99 {
			marks = append(marks, end)
		}
	}
	for _, t := range topics() {
		lines := t.draw(r.Series)
		if len(lines) == 0 {
			continue
		}
		plot := chart.Layout(chart.Spec{Lines: lines, X: overTime(r.Series), Y: t.axis, Area: t.area})
		all = append(all, figure{Name: t.name, Note: t.note, Marks: marks, Plot: plot})
		values = append(values, newData("elapsed", t.unit, lines, plot))
	}
	if f, d, ok := distribution(r); ok {
		all, values = append(all, f), append(values, d)
	}
	return all, values
}

func overTime(points []report.Point) chart.Axis {
	return chart.Axis{Kind: chart.Elapsed, High: points[len(points)-1].At}
}

// draw makes the lines that are not all zero; where the target changes, or time
// passed without a point, there is a gap.
func (t *topic) draw(points []report.Point) []chart.Line {
	var lines []chart.Line
	for _, s := range t.lines {
		line := chart.Line{Name: s.name, Class: s.class}
		some := false
		for i := range points {
			p := &points[i]
			if i > 0 && (points[i-1].Target != p.Target || p.At-p.Span > points[i-1].At+2) {
				line.Values = append(line.Values, chart.Value{X: p.At - p.Span, Y: chart.Gap()})
			}
			v := s.of(p)
			some = some || v != 0 && !math.IsNaN(v)
			line.Values = append(line.Values, chart.Value{X: p.At, Y: v})
		}
		if some {
			lines = append(lines, line)
		}
	}
	return lines
}
