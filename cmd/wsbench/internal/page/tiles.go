package page

import (
	"fmt"
	"strings"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// tiles are the numbers that matter most, of the first run: how many, how
// fast, how soon, and at what cost.
func tiles(r *report.Result) []tile {
	if len(r.Runs) == 0 {
		return nil
	}
	run := r.Runs[0]
	var all []tile
	if n := connections(r, run); n > 0 {
		all = append(all, tile{"connections", report.Format(n, ""), ""})
	}
	for _, f := range run.Figures {
		if strings.HasSuffix(f.Name, "/s") && f.Unit == "" && f.Value >= 1 {
			all = append(all, tile{f.Name, report.Format(whole(f.Value), ""), ""})
			break
		}
	}
	if len(run.Latencies) > 0 && run.Latencies[0].Count > 0 {
		l := run.Latencies[0]
		all = append(all, tile{l.Name + ", p99", report.Short(l.P99), "p50 " + report.Short(l.P50)})
	}
	return append(all, costs(run)...)
}

// whole leaves out what nobody reads in a headline.
func whole(v float64) float64 {
	if v < 100 {
		return v
	}
	return float64(int64(v + 0.5))
}

func connections(r *report.Result, run *report.Run) float64 {
	most := max(run.Value("connections"), run.Value("members"))
	for _, p := range r.Series {
		if p.Target == run.Target {
			most = max(most, float64(p.Connections))
		}
	}
	return most
}

func costs(run *report.Run) []tile {
	var all []tile
	for _, f := range run.Figures {
		switch f.Name {
		case "server CPU", "server CPU per message", "RSS growth per connection", "live heap per connection":
			value := report.Format(f.Value, f.Unit)
			if f.Name == "server CPU" {
				value = fmt.Sprintf("%.1f %%", f.Value)
			}
			all = append(all, tile{f.Name, value, ""})
		}
	}
	return all
}
