package page

import (
	"math"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/chart"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// colours are the classes of the lines; a chart can tell no more apart.
const colours = "abcd"

// distribution is the chart of all latencies by percentile.
func distribution(r *report.Result) (f figure, d data, ok bool) {
	var lines []chart.Line
	for _, run := range r.Runs {
		for _, l := range run.Latencies {
			name := l.Name
			if len(r.Runs) > 1 {
				name += ", " + run.Target
			}
			if values := curve(l.Histogram); len(values) > 0 && len(lines) < len(colours) {
				lines = append(lines, chart.Line{Name: name, Class: colours[len(lines) : len(lines)+1], Values: values})
			}
		}
	}
	if len(lines) == 0 {
		return f, d, false
	}
	duration := func(v float64) string { return report.Short(time.Duration(v)) }
	plot := chart.Layout(chart.Spec{Lines: lines, X: chart.Axis{Kind: chart.Nines}, Y: chart.Axis{Kind: chart.Log, Label: duration}})
	f = figure{Name: "Latency by percentile", Note: "percent of the whole measurement", Plot: plot}
	return f, newData("quantile", "duration", lines, plot), true
}

// curve goes up to the last percentile that has at least one value above it.
func curve(s *hdr.Sparse) []chart.Value {
	var h hdr.Histogram
	if s == nil || h.MergeSparse(s) != nil || h.Count() == 0 {
		return nil
	}
	const perNine = 20
	nines := min(math.Log10(float64(h.Count())), chart.MaxNines)
	var values []chart.Value
	for i := 0; float64(i) <= nines*perNine; i++ {
		q := 1 - math.Pow(10, -float64(i)/perNine)
		values = append(values, chart.Value{X: q, Y: float64(h.Quantile(q))})
	}
	return values
}
