package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable writes the result for people.
func (r *Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := []string{"wsbench " + r.Scenario}
	for _, run := range r.Runs {
		head = append(head, run.Target)
	}
	line(t, head)
	for _, name := range r.names() {
		row := []string{name}
		for _, run := range r.Runs {
			row = append(row, run.cell(name))
		}
		line(t, row)
	}
	for _, f := range r.Ratios {
		line(t, []string{"ratio: " + f.Name, fmt.Sprintf("%.2f", f.Value)})
	}
	for _, c := range r.Checks {
		line(t, []string{"check: " + c.Name, verdict(c.OK) + " " + c.Detail})
	}
	for _, n := range r.Notes {
		line(t, []string{"note: " + n})
	}
	if r.Interrupted {
		line(t, []string{"interrupted: the figures cover the time until then"})
	}
	return t.Flush()
}

func line(w io.Writer, cells []string) { _, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) }

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "FAILED"
}

// names are the rows, in the order in which the runs have them.
func (r *Result) names() []string {
	var names []string
	seen := map[string]bool{}
	add := func(n string) {
		if !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	for _, run := range r.Runs {
		for _, f := range run.Figures {
			add(f.Name)
		}
	}
	for _, run := range r.Runs {
		for _, l := range run.Latencies {
			add(l.Name)
		}
	}
	return names
}

func (r *Run) cell(name string) string {
	for _, f := range r.Figures {
		if f.Name == name {
			return Format(f.Value, f.Unit)
		}
	}
	for _, l := range r.Latencies {
		if l.Name == name {
			return fmt.Sprintf("p50 %s  p90 %s  p99 %s  p99.9 %s  max %s",
				short(l.P50), short(l.P90), short(l.P99), short(l.P999), short(l.Max))
		}
	}
	return "-"
}

// Format renders a number with its unit: thousands grouped, bytes scaled.
func Format(v float64, unit string) string {
	if unit == "B" {
		return bytesText(v)
	}
	text := group(v)
	if unit != "" {
		text += " " + unit
	}
	return text
}

func bytesText(v float64) string {
	for _, s := range []struct {
		size float64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if math.Abs(v) >= s.size {
			return fmt.Sprintf("%.2f %s", v/s.size, s.name)
		}
	}
	return fmt.Sprintf("%.0f B", v)
}

func group(v float64) string {
	if v != math.Trunc(v) && math.Abs(v) < 1000 {
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	digits := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if v < 0 {
		return "-" + digits
	}
	return digits
}

func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}
