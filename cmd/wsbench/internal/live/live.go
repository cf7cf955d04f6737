//go:build linux

package live

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// New returns the view for f: a screen where f is a terminal that can move its
// cursor, lines elsewhere, and nothing for nil. title is what runs.
func New(title string, f *os.File) report.View {
	if f == nil {
		return &Lines{w: io.Discard}
	}
	size := func() int {
		ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
		if err != nil {
			return 0
		}
		return int(ws.Col)
	}
	if size() < narrowest || os.Getenv("TERM") == "dumb" || os.Getenv("TERM") == "" {
		return &Lines{w: f}
	}
	_, plain := os.LookupEnv("NO_COLOR")
	return &Screen{w: f, title: title, width: size, ink: ink{plain: plain}}
}
