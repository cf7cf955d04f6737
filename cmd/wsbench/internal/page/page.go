package page

import (
	_ "embed" // the template and what goes into it
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

//go:embed assets/page.html.tmpl
var source string

//go:embed assets/style.css
var style string

//go:embed assets/hover.js
var script string

// view is what the template shows.
type view struct {
	Title     string
	Started   string
	Took      string
	OK        bool
	Verdict   string
	Tiles     []tile
	Phases    []phase
	Charts    []figure
	Targets   []string
	Figures   []row
	Ratios    []row
	Latencies []row
	Checks    []report.Check
	Notes     []string
	Setup     []row // parameters and versions
	Data      []data
	Style     template.CSS
	Script    template.JS
}

// tile is one number that matters most.
type tile struct{ Name, Value, Detail string }

// row is a line of a table.
type row struct {
	Name  string
	Cells []string
}

// Write writes the report of r.
func Write(w io.Writer, r *report.Result) error {
	t, err := template.New("page").Parse(source)
	if err != nil {
		return fmt.Errorf("parse the report's template: %w", err)
	}
	if err := t.Execute(w, newView(r)); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func newView(r *report.Result) *view {
	v := &view{
		Title:   "wsbench " + r.Scenario,
		Started: r.Started.UTC().Format("2006-01-02 15:04:05 UTC"),
		Took:    seconds(r.Seconds),
		OK:      r.OK(), Verdict: verdict(r),
		Tiles: tiles(r), Phases: phases(r.Series),
		Latencies: latencies(r), Checks: r.Checks, Notes: r.Notes, Setup: setup(r),
		Style:  template.CSS(style), //nolint:gosec // our own file
		Script: template.JS(script), //nolint:gosec // our own file
	}
	for _, run := range r.Runs {
		v.Targets = append(v.Targets, run.Target)
	}
	for _, name := range r.FigureNames() {
		cells := make([]string, len(r.Runs))
		for i, run := range r.Runs {
			cells[i] = run.Cell(name)
		}
		v.Figures = append(v.Figures, row{name, cells})
	}
	for _, q := range r.Ratios {
		v.Ratios = append(v.Ratios, row{q.Name, []string{fmt.Sprintf("%.2f", q.Value)}})
	}
	if r.Interrupted {
		v.Notes = append(slices.Clip(v.Notes), "Interrupted: the figures cover the time until then.")
	}
	v.Charts, v.Data = figures(r)
	return v
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

func verdict(r *report.Result) string {
	failed := 0
	for _, c := range r.Checks {
		if !c.OK {
			failed++
		}
	}
	switch {
	case len(r.Checks) == 0:
		return "nothing was checked"
	case failed == 0:
		return fmt.Sprintf("all %d checks hold", len(r.Checks))
	default:
		return fmt.Sprintf("%d of %d checks failed", failed, len(r.Checks))
	}
}

func latencies(r *report.Result) []row {
	var rows []row
	for _, run := range r.Runs {
		for _, l := range run.Latencies {
			name := l.Name
			if len(r.Runs) > 1 {
				name += ", " + run.Target
			}
			cells := []string{report.Format(float64(l.Count), "")}
			for _, d := range []time.Duration{l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max} {
				cells = append(cells, report.Short(d))
			}
			rows = append(rows, row{name, cells})
		}
	}
	return rows
}

func setup(r *report.Result) []row {
	var rows []row
	add := func(name string, v any) {
		if text := fmt.Sprint(v); text != "" {
			rows = append(rows, row{name, []string{text}})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Parameters)) {
		add("-"+name, plain(r.Parameters[name]))
	}
	add("Go", r.Versions.Go)
	add("system", r.Versions.OS)
	add("kernel", r.Versions.Kernel)
	add("CPUs", r.Versions.CPUs)
	add("commit", r.Versions.Commit)
	return rows
}

// plain writes numbers that have been through JSON as they were.
func plain(v any) any {
	if f, ok := v.(float64); ok {
		return report.Plain(f)
	}
	return v
}
