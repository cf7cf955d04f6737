//go:build linux

package live

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

func status() report.Status {
	return report.Status{
		Point: report.Point{
			Target: "gateway", Phase: "measure", Connections: 1500, Goal: 1500, Messages: 1234567,
			Latency:   &report.Percentiles{P50: time.Millisecond, P90: 2 * time.Millisecond, P99: 3 * time.Millisecond, Max: 9 * time.Millisecond},
			ServerRSS: 50 << 20, ServerCPU: 61, ClientRSS: 30 << 20, ClientCPU: 38, Failed: 2,
		},
		Elapsed: 5 * time.Second, Lasts: 10 * time.Second,
	}
}

func TestWithoutATerminalThereAreLines(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	v := New("fanout", f)
	v.Show(status())
	v.Done()
	b, _ := os.ReadFile(f.Name())
	want := "measure 5s  up 1500/1500  lost connections 2  1,234,567 msg/s  p99 3ms  server 50.00 MiB 61 %  client 30.00 MiB 38 %\n"
	if string(b) != want {
		t.Errorf("got  %q\nwant %q", b, want)
	}
}

// terminal returns both ends of a new terminal of so many columns.
func terminal(t *testing.T, columns uint16) (screen, program *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: 24})
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return screen, program
}

// shown runs a view on a terminal and returns what it wrote after n states.
func shown(t *testing.T, columns uint16, n int) string {
	t.Helper()
	screen, program := terminal(t, columns)
	v := New("fanout", program)
	for range n {
		v.Show(status())
	}
	v.Done()
	_, _ = program.WriteString("end")
	var all strings.Builder
	buf := make([]byte, 4096)
	for !strings.HasSuffix(all.String(), "end") {
		k, err := screen.Read(buf)
		if err != nil {
			t.Fatal(err, all.String())
		}
		all.Write(buf[:k])
	}
	return strings.TrimSuffix(all.String(), "end")
}

var escapes = regexp.MustCompile(`\x1b\[[0-9]*[A-Za-z]`)

func TestATerminalIsRedrawnInPlace(t *testing.T) {
	t.Setenv("TERM", "xterm")
	for _, columns := range []uint16{40, 79, 80, 200} {
		out := shown(t, columns, 3)
		frames := strings.Split(out, "\r\x1b[J")
		if len(frames) != 4 || frames[3] != "" {
			t.Fatalf("%d columns: %d frames in %q", columns, len(frames)-1, out)
		}
		last := escapes.ReplaceAllString(frames[2], "")
		for _, want := range []string{"wsbench fanout", "measure", "50 %", "1,500 of 1,500", "2 lost", "1,234,567/s", "p99 3ms", "50.00 MiB", "61 %", "38 %"} {
			if !strings.Contains(last, want) {
				t.Errorf("%d columns: no %q in\n%s", columns, want, last)
			}
		}
		for _, row := range strings.Split(last, "\r\n") {
			if columnsOf := len([]rune(strings.TrimRight(row, "\r"))); columnsOf > int(columns) {
				t.Errorf("%d columns: %d in %q", columns, columnsOf, row)
			}
		}
	}
}

func TestNoColorLeavesOnlyTheCursor(t *testing.T) {
	t.Setenv("TERM", "xterm")
	if out := shown(t, 100, 2); !strings.Contains(out, "\x1b[32m") {
		t.Errorf("no colour in %q", out)
	}
	t.Setenv("NO_COLOR", "1")
	out := shown(t, 100, 2)
	for _, e := range escapes.FindAllString(out, -1) {
		if strings.HasSuffix(e, "m") {
			t.Fatalf("colour in %q", out)
		}
	}
}

func TestATerminalThatCannotMoveItsCursorGetsLines(t *testing.T) {
	t.Setenv("TERM", "dumb")
	if out := shown(t, 100, 1); strings.Contains(out, "\x1b") || !strings.HasPrefix(out, "measure 5s") {
		t.Errorf("%q", out)
	}
}

func TestTheBarFollowsConnectionsThenTime(t *testing.T) {
	for want, s := range map[string]report.Status{
		"25 %":  {Point: report.Point{Connections: 25, Goal: 100}},
		"30 %":  {Point: report.Point{Connections: 25, Goal: 100}, Elapsed: 3 * time.Second, Lasts: 10 * time.Second},
		"100 %": {Point: report.Point{Connections: 100, Goal: 100}},
		"0 %":   {},
	} {
		if got := (&Screen{ink: ink{plain: true}}).bar(s, 80); !strings.HasSuffix(got, " "+want) {
			t.Errorf("%q, want %s", got, want)
		}
	}
}

func TestACurveShowsTheLastValues(t *testing.T) {
	var c curve
	if c.some() || c.draw(5) != "" {
		t.Error("not empty")
	}
	for v := range 2 * history {
		c.add(float64(v))
	}
	c.add(0)
	if got := c.draw(3); got != "██ " || len(c.values) != history {
		t.Errorf("%q of %d", got, len(c.values))
	}
}
