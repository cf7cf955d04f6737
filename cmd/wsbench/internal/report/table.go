package report

import (
	"fmt"
	"io"
	"math"
	"slices"
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
	for _, name := range slices.Concat(r.FigureNames(), r.latencyNames()) {
		row := []string{name}
		for _, run := range r.Runs {
			row = append(row, run.Cell(name))
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

// FigureNames are the names of all figures, in the order in which the runs have
// them.
func (r *Result) FigureNames() []string {
	var names unique
	for _, run := range r.Runs {
		for _, f := range run.Figures {
			names.add(f.Name)
		}
	}
	return names.list
}

// latencyNames are those of all latencies.
func (r *Result) latencyNames() []string {
	var names unique
	for _, run := range r.Runs {
		for _, l := range run.Latencies {
			names.add(l.Name)
		}
	}
	return names.list
}

// unique keeps the first of each text.
type unique struct {
	list []string
	seen map[string]bool
}

// add reports whether the text is new.
func (u *unique) add(text string) bool {
	if u.seen[text] {
		return false
	}
	if u.seen == nil {
		u.seen = map[string]bool{}
	}
	u.seen[text] = true
	u.list = append(u.list, text)
	return true
}

// Cell renders a figure or a latency by name; "-" if the run has neither.
func (r *Run) Cell(name string) string {
	for _, f := range r.Figures {
		if f.Name == name {
			return Format(f.Value, f.Unit)
		}
	}
	for _, l := range r.Latencies {
		if l.Name == name {
			return fmt.Sprintf("p50 %s  p90 %s  p99 %s  p99.9 %s  max %s",
				Short(l.P50), Short(l.P90), Short(l.P99), Short(l.P999), Short(l.Max))
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
	if a := math.Abs(v); v != math.Trunc(v) && a < 1000 {
		decimals := 3
		for ; a >= 10; a /= 10 {
			decimals--
		}
		return strconv.FormatFloat(v, 'f', decimals, 64)
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

// Short renders a duration with as many digits as are worth reading.
func Short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}

// Plain renders a number with as many digits as it has.
func Plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
