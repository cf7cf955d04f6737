package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
)

// Figure is one measured number.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Merge is how the figures of several processes become one.
	Merge Rule `json:"merge,omitempty"`
}

// Rule is how the figures of several processes become one.
type Rule string

// The rules.
const (
	Sum   Rule = ""      // counts and rates
	Max   Rule = "max"   // times, and what each process sees of the same thing
	Mean  Rule = "mean"  // what is per connection or per message
	First Rule = "first" // what is not the process's own
)

// Latency is one distribution.
type Latency struct {
	Name string `json:"name"`
	hdr.Summary
	// Histogram is what the summary was made of; nil in a result that was
	// written without.
	Histogram *hdr.Sparse `json:"histogram,omitempty"`
}

// Ratio is the ratio of a figure in two runs.
type Ratio struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Figure string  `json:"figure"`
	Over   string  `json:"over"`  // target of the run above the line
	Under  string  `json:"under"` // and below
}

// Run is what was measured against one target.
type Run struct {
	Target    string    `json:"target"` // gateway, naive, writev
	Figures   []Figure  `json:"figures"`
	Latencies []Latency `json:"latencies,omitempty"`
}

// Add appends a figure of which several processes have the sum.
func (r *Run) Add(name string, value float64, unit string) { r.AddAs(Sum, name, value, unit) }

// AddAs appends a figure and says how it is merged.
func (r *Run) AddAs(rule Rule, name string, value float64, unit string) {
	r.Figures = append(r.Figures, Figure{Name: name, Value: value, Unit: unit, Merge: rule})
}

// AddLatency appends a distribution.
func (r *Run) AddLatency(name string, h *hdr.Histogram) {
	r.Latencies = append(r.Latencies, Latency{Name: name, Summary: h.Summary(), Histogram: h.Sparse()})
}

// Value returns a figure by name, 0 if absent.
func (r *Run) Value(name string) float64 {
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Value
		}
	}
	return 0
}

// Check is one thing that must hold.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Result is everything about one invocation.
type Result struct {
	Scenario    string         `json:"scenario"`
	Started     time.Time      `json:"started"`
	Seconds     float64        `json:"seconds"`
	Parameters  map[string]any `json:"parameters"`
	Versions    Versions       `json:"versions"`
	Runs        []*Run         `json:"runs"`
	Ratios      []Ratio        `json:"ratios,omitempty"`
	Checks      []Check        `json:"checks"`
	Notes       []string       `json:"notes,omitempty"`
	Interrupted bool           `json:"interrupted,omitempty"`
	Series      []Point        `json:"series,omitempty"` // about one a second
}

// Versions says what made the figures.
type Versions struct {
	Go     string `json:"go"`
	OS     string `json:"os"`
	Kernel string `json:"kernel"`
	CPUs   int    `json:"cpus"`
	Commit string `json:"commit,omitempty"`
}

// New begins a result.
func New(scenario string, parameters map[string]any) *Result {
	v := Versions{Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU()}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		v.Kernel = string(b[:max(len(b)-1, 0)])
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	return &Result{Scenario: scenario, Started: time.Now(), Parameters: parameters, Versions: v}
}

// Run appends a run for a target.
func (r *Result) Run(target string) *Run {
	run := &Run{Target: target}
	r.Runs = append(r.Runs, run)
	return run
}

// Check appends a check.
func (r *Result) Check(ok bool, name, format string, args ...any) {
	r.Checks = append(r.Checks, Check{Name: name, OK: ok, Detail: fmt.Sprintf(format, args...)})
}

// Note appends a remark for the reader.
func (r *Result) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Ratio appends the ratio of a figure in two runs, unless one is missing.
func (r *Result) Ratio(name string, a, b *Run) {
	if x, y := a.Value(name), b.Value(name); x != 0 && y != 0 {
		r.Ratios = append(r.Ratios, Ratio{
			Name: name + ", " + a.Target + " / " + b.Target, Value: x / y,
			Figure: name, Over: a.Target, Under: b.Target,
		})
	}
}

// OK reports whether all checks hold.
func (r *Result) OK() bool {
	for _, c := range r.Checks {
		if !c.OK {
			return false
		}
	}
	return true
}

// WriteJSON writes the result.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
