//go:build linux

package live

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// narrowest is the width below which lines are better than a screen.
const narrowest = 40

// history is how many steps the small curves remember; what does not fit the
// width is not shown.
const history = 60

// Screen redraws a few lines in place. It belongs to one goroutine.
type Screen struct {
	w     io.Writer
	title string
	width func() int // of the terminal, in columns; 0: it is gone
	ink   ink

	drawn    int // lines on the screen
	messages curve
	p99      curve
	cpu      curve
	rss      curve
}

// Show draws the state over the last one.
func (s *Screen) Show(now report.Status) {
	s.remember(now)
	width := s.width()
	if width < narrowest {
		width = narrowest
	}
	var b strings.Builder
	s.rewind(&b)
	rows := s.rows(now, width)
	for _, row := range rows {
		b.WriteString(row + "\r\n")
	}
	s.drawn = len(rows)
	_, _ = io.WriteString(s.w, b.String())
}

// Done clears the screen's lines.
func (s *Screen) Done() {
	var b strings.Builder
	s.rewind(&b)
	s.drawn = 0
	_, _ = io.WriteString(s.w, b.String())
}

// rewind goes back to where the first line is and clears from there on.
func (s *Screen) rewind(b *strings.Builder) {
	if s.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA\r\x1b[J", s.drawn)
	}
}

func (s *Screen) remember(now report.Status) {
	s.messages.add(now.Messages)
	s.cpu.add(now.ServerCPU)
	s.rss.add(float64(now.ServerRSS))
	p99 := 0.0
	if now.Latency != nil {
		p99 = float64(now.Latency.P99)
	}
	s.p99.add(p99)
}

// rows are the lines for a terminal of so many columns.
func (s *Screen) rows(now report.Status, width int) []string {
	rows := []string{s.head(now, width), s.bar(now, width)}
	up := fmt.Sprintf("%s of %s", rate(float64(now.Connections)), rate(float64(now.Goal)))
	lost := ""
	if now.Failed > 0 {
		lost = fmt.Sprintf("  %d lost", now.Failed)
	}
	rows = append(rows, s.ink.dim(label("connections"))+clip(up, width-labelWidth)+s.ink.red(clip(lost, width-labelWidth-len(up))))
	rows = append(rows, s.row("messages", rate(now.Messages)+"/s", &s.messages, width))
	if l := now.Latency; l != nil {
		text := fmt.Sprintf("p50 %s  p99 %s", report.Short(l.P50), report.Short(l.P99))
		if width >= 2*narrowest {
			text = fmt.Sprintf("p50 %s  p90 %s  p99 %s  max %s", report.Short(l.P50), report.Short(l.P90), report.Short(l.P99), report.Short(l.Max))
		}
		rows = append(rows, s.row("latency", text, &s.p99, width))
	} else {
		rows = append(rows, s.row("latency", "-", &s.p99, width))
	}
	if s.rss.some() {
		rows = append(rows,
			s.row("server memory", report.Format(float64(now.ServerRSS), "B"), &s.rss, width),
			s.row("server CPU", fmt.Sprintf("%.0f %% of a core", now.ServerCPU), &s.cpu, width))
	}
	return append(rows, s.row("client", usage(now.ClientRSS, now.ClientCPU), nil, width))
}

// head tells what runs, and where it is.
func (s *Screen) head(now report.Status, width int) string {
	what := now.Phase
	if now.Target != "gateway" {
		what += ", " + now.Target
	}
	elapsed := now.Elapsed.Round(time.Second).String()
	if now.Lasts > 0 {
		elapsed += " of " + now.Lasts.Round(time.Second).String()
	}
	title := clip("wsbench "+s.title, width)
	rest := clip("  "+what+"  "+elapsed, width-len(title))
	return s.ink.bold(title) + rest
}

// bar shows how much of the phase is done: by connections as long as they
// come, else by time; without either it is empty.
func (s *Screen) bar(now report.Status, width int) string {
	share := 0.0
	switch {
	case now.Connections < now.Goal && now.Lasts == 0:
		share = float64(now.Connections) / float64(now.Goal)
	case now.Lasts > 0:
		share = min(now.Elapsed.Seconds()/now.Lasts.Seconds(), 1)
	case now.Goal > 0:
		share = 1
	}
	cells := min(width-6, history)
	full := int(share*float64(cells) + 0.5)
	return s.ink.green(strings.Repeat("█", full)) + s.ink.dim(strings.Repeat("░", cells-full)) +
		fmt.Sprintf(" %3.0f %%", 100*share)
}

const labelWidth = 15

func label(name string) string { return fmt.Sprintf("%-*s", labelWidth, name) }

// textWidth is the column after which the curves stand.
const textWidth = 48

func (s *Screen) row(name, text string, c *curve, width int) string {
	room := min(textWidth, width-labelWidth)
	text = clip(text, room)
	line := s.ink.dim(label(name)) + text
	if cells := width - labelWidth - textWidth - 1; c != nil && cells >= 8 && c.some() {
		line += strings.Repeat(" ", textWidth-columns(text)) + s.ink.cyan(c.draw(min(cells, history)))
	}
	return line
}
