package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// maxFile bounds a result that is read.
const maxFile = 256 << 20

// Read reads a result that WriteJSON wrote.
func Read(r io.Reader) (*Result, error) {
	limited := &io.LimitedReader{R: r, N: maxFile + 1}
	var res Result
	err := json.NewDecoder(limited).Decode(&res)
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("read a result: above %d bytes", maxFile)
	case err != nil:
		return nil, fmt.Errorf("read a result: %w", err)
	case res.Scenario == "" || slices.Contains(res.Runs, nil):
		return nil, errors.New("read a result: this is none of wsbench")
	}
	return &res, nil
}

// Compare writes the figures of two results of the same scenario side by side,
// with their ratios, b / a, and what the results differ in beside them.
func Compare(w io.Writer, a, b *Result, nameA, nameB string) error {
	if a.Scenario != b.Scenario {
		return fmt.Errorf("compare: %s is of %s, %s of %s: nothing to compare", nameA, a.Scenario, nameB, b.Scenario)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line(t, []string{"wsbench " + a.Scenario, nameA, nameB, "ratio"})
	for _, run := range a.Runs {
		if other := b.find(run.Target); other != nil {
			compareRuns(t, run, other)
		}
	}
	onlyIn(t, a, b, nameA)
	onlyIn(t, b, a, nameB)
	for _, d := range differences(a, b) {
		line(t, d)
	}
	for _, r := range []struct {
		name string
		*Result
	}{{nameA, a}, {nameB, b}} {
		if !r.OK() || r.Interrupted {
			line(t, []string{"careful: in " + r.name + " a check failed, or it was interrupted"})
		}
	}
	return t.Flush()
}

// onlyIn lists the runs of a that b has none of.
func onlyIn(w io.Writer, a, b *Result, name string) {
	for _, run := range a.Runs {
		if b.find(run.Target) == nil {
			line(w, []string{"only in " + name + ": " + run.Target})
		}
	}
}

func (r *Result) find(target string) *Run {
	for _, run := range r.Runs {
		if run.Target == target {
			return run
		}
	}
	return nil
}

func compareRuns(w io.Writer, a, b *Run) {
	for _, f := range a.Figures {
		for _, g := range b.Figures {
			if f.Name == g.Name {
				line(w, []string{a.Target + ": " + f.Name, Format(f.Value, f.Unit), Format(g.Value, g.Unit), ratio(f.Value, g.Value)})
				break
			}
		}
	}
	for _, l := range a.Latencies {
		for _, m := range b.Latencies {
			if l.Name == m.Name {
				compareLatencies(w, a.Target+": "+l.Name, l, m)
				break
			}
		}
	}
}

func compareLatencies(w io.Writer, name string, a, b Latency) {
	for _, q := range []struct {
		name string
		a, b time.Duration
	}{{"mean", a.Mean, b.Mean}, {"p50", a.P50, b.P50}, {"p90", a.P90, b.P90}, {"p99", a.P99, b.P99}, {"p99.9", a.P999, b.P999}, {"max", a.Max, b.Max}} {
		line(w, []string{name + " " + q.name, Short(q.a), Short(q.b), ratio(float64(q.a), float64(q.b))})
	}
}

// ratio is b / a; nothing without an a.
func ratio(a, b float64) string {
	if a == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", b/a)
}

// differences are parameters and versions that are not the same, as rows.
func differences(a, b *Result) [][]string {
	pa, pb := described(a), described(b)
	all := maps.Clone(pa)
	maps.Copy(all, pb)
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if pa[name] != pb[name] {
			rows = append(rows, []string{"differs: " + name, or(pa[name]), or(pb[name])})
		}
	}
	return rows
}

func or(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// notCompared are parameters that say nothing about what was measured.
func notCompared(name string) bool {
	return slices.Contains([]string{"pid", "victim", "json", "html"}, name)
}

func described(r *Result) map[string]string {
	m := map[string]string{
		"Go": r.Versions.Go, "system": r.Versions.OS, "kernel": r.Versions.Kernel,
		"CPUs": fmt.Sprint(r.Versions.CPUs), "commit": r.Versions.Commit,
	}
	for name, v := range r.Parameters {
		if f, ok := v.(float64); ok {
			v = Plain(f)
		}
		if !notCompared(name) {
			m["-"+name] = fmt.Sprint(v)
		}
	}
	return m
}
