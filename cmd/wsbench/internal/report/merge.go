package report

import (
	"errors"
	"fmt"
	"strings"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
)

// Merge makes one result of those that several processes have of the same
// scenario at the same time: figures by their rules, latencies by their
// histograms, ratios anew, checks that hold if they hold everywhere, notes
// once, series on one time axis. Parameters and versions are the first's. The
// results are left as they are.
func Merge(results []*Result) (*Result, error) {
	if len(results) == 0 {
		return nil, errors.New("merge results: there are none")
	}
	first := results[0]
	m := &Result{
		Scenario: first.Scenario, Started: first.Started,
		Parameters: first.Parameters, Versions: first.Versions,
	}
	for _, r := range results {
		if r.Scenario != m.Scenario {
			return nil, fmt.Errorf("merge results: one is of %s, another of %s", m.Scenario, r.Scenario)
		}
		if r.Started.Before(m.Started) {
			m.Started = r.Started
		}
		m.Interrupted = m.Interrupted || r.Interrupted
	}
	if err := m.mergeRuns(results); err != nil {
		return nil, fmt.Errorf("merge results: %w", err)
	}
	m.mergeRatios(results)
	m.mergeChecks(results)
	m.mergeNotes(results)
	m.mergeTimes(results)
	return m, nil
}

// Take makes the outcome of other processes, merged, this result's.
func (r *Result) Take(merged *Result) {
	r.Runs, r.Ratios, r.Interrupted = merged.Runs, merged.Ratios, merged.Interrupted
	r.Checks, r.Notes = append(r.Checks, merged.Checks...), append(r.Notes, merged.Notes...)
}

// mergeTimes lays the series over each other and finds when the last ended.
func (r *Result) mergeTimes(results []*Result) {
	series, shift := make([][]Point, len(results)), make([]float64, len(results))
	for i, o := range results {
		shift[i] = o.Started.Sub(r.Started).Seconds()
		series[i] = o.Series
		r.Seconds = max(r.Seconds, o.Seconds+shift[i])
	}
	r.Series = overlay(series, shift)
}

// target returns the run for a target, which it begins if need be.
func (r *Result) target(name string) *Run {
	for _, run := range r.Runs {
		if run.Target == name {
			return run
		}
	}
	return r.Run(name)
}

func (r *Result) mergeRuns(results []*Result) error {
	for _, o := range results {
		for _, run := range o.Runs {
			r.target(run.Target)
		}
	}
	for _, run := range r.Runs {
		var all []*Run
		for _, o := range results {
			for _, part := range o.Runs {
				if part.Target == run.Target {
					all = append(all, part)
				}
			}
		}
		run.mergeFigures(all)
		if err := run.mergeLatencies(all); err != nil {
			return err
		}
	}
	return nil
}

// mergeFigures applies the rules; a process that lacks a figure has no say.
func (r *Run) mergeFigures(parts []*Run) {
	at, n := map[string]int{}, map[string]float64{}
	for _, part := range parts {
		for _, f := range part.Figures {
			i, ok := at[f.Name]
			if !ok {
				at[f.Name] = len(r.Figures)
				n[f.Name] = 1
				r.Figures = append(r.Figures, f)
				continue
			}
			n[f.Name]++
			r.Figures[i].merge(f.Value, n[f.Name])
		}
	}
}

// merge adds the n-th value.
func (f *Figure) merge(v, n float64) {
	switch f.Merge {
	case First:
	case Max:
		f.Value = max(f.Value, v)
	case Mean:
		f.Value += (v - f.Value) / n
	default:
		f.Value += v
	}
}

func (r *Run) mergeLatencies(parts []*Run) error {
	var names []string
	merged := map[string]*hdr.Histogram{}
	for _, part := range parts {
		for _, l := range part.Latencies {
			h := merged[l.Name]
			if h == nil {
				h = &hdr.Histogram{}
				merged[l.Name] = h
				names = append(names, l.Name)
			}
			if l.Histogram == nil {
				if l.Count > 0 {
					return fmt.Errorf("%s of %s has no histogram", l.Name, r.Target)
				}
				continue
			}
			if err := h.MergeSparse(l.Histogram); err != nil {
				return fmt.Errorf("%s of %s: %w", l.Name, r.Target, err)
			}
		}
	}
	for _, name := range names {
		r.AddLatency(name, merged[name])
	}
	return nil
}

func (r *Result) mergeRatios(results []*Result) {
	var seen unique
	for _, o := range results {
		for _, q := range o.Ratios {
			if seen.add(q.Name) {
				r.Ratio(q.Figure, r.target(q.Over), r.target(q.Under))
			}
		}
	}
}

// maxDetails bounds what a merged check says of its processes.
const maxDetails = 4

func (r *Result) mergeChecks(results []*Result) {
	var seen unique
	for _, o := range results {
		for _, c := range o.Checks {
			if seen.add(c.Name) {
				r.Checks = append(r.Checks, mergeCheck(c.Name, results))
			}
		}
	}
}

// mergeCheck holds if it holds in every process that made it. Its detail tells
// of those where it does not, or else of all, and the same text once.
func mergeCheck(name string, results []*Result) Check {
	merged := Check{Name: name, OK: true}
	var held unique
	var failed []string
	for i, o := range results {
		for _, c := range o.Checks {
			switch {
			case c.Name != name:
			case !c.OK:
				merged.OK = false
				failed = append(failed, fmt.Sprintf("process %d: %s", i+1, c.Detail))
			default:
				held.add(c.Detail)
			}
		}
	}
	details := held.list
	if !merged.OK {
		details = failed
	}
	if more := len(details) - maxDetails; more > 0 {
		details = append(details[:maxDetails:maxDetails], fmt.Sprintf("and %d more", more))
	}
	merged.Detail = strings.Join(details, "; ")
	return merged
}

func (r *Result) mergeNotes(results []*Result) {
	var notes unique
	for _, o := range results {
		for _, n := range o.Notes {
			notes.add(n)
		}
	}
	r.Notes = notes.list
}
