package report

import (
	"fmt"
	"io"
	"os"
	"time"
)

// Progress shows one line about what goes on, at most once a second: over
// itself on a terminal, below each other elsewhere. It belongs to one
// goroutine.
type Progress struct {
	w        io.Writer
	terminal bool
	phase    string
	since    time.Time
	last     time.Time
	drawn    bool
}

// NewProgress shows progress on f; nil is silence.
func NewProgress(f *os.File) *Progress {
	if f == nil {
		return &Progress{w: io.Discard}
	}
	info, err := f.Stat()
	return &Progress{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// Phase begins a phase; its first line is shown at once.
func (p *Progress) Phase(name string) {
	p.phase, p.since, p.last = name, time.Now(), time.Time{}
}

// Show shows what text returns, if it is time.
func (p *Progress) Show(text func() string) {
	now := time.Now()
	if now.Sub(p.last) < time.Second {
		return
	}
	p.last = now
	line := fmt.Sprintf("%s %s  %s", p.phase, now.Sub(p.since).Round(time.Second), text())
	if p.terminal {
		_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		p.drawn = true
		return
	}
	_, _ = fmt.Fprintln(p.w, line)
}

// Done clears the line on a terminal.
func (p *Progress) Done() {
	if p.drawn {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}
