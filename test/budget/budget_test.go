//go:build linux

package budget

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	connections = 5000
	heapBudget  = 2560    // bytes of live heap per connection
	rssBudget   = 6 << 10 // bytes of resident memory per connection
	key         = "a key for this test"
)

// result is what wsbench writes with -json.
type result struct {
	Runs []struct {
		Figures []struct {
			Name  string
			Value float64
		}
	}
	Ratios []struct {
		Figure string
		Value  float64
	}
	Checks []struct {
		Name   string
		OK     bool
		Detail string
	}
}

func (r *result) figure(t *testing.T, name string) float64 {
	t.Helper()
	for _, f := range r.Runs[0].Figures {
		if f.Name == name {
			return f.Value
		}
	}
	t.Fatalf("wsbench gave no figure %q", name)
	return 0
}

// ratio is a figure of the gateway over that of what was measured beside it.
func (r *result) ratio(t *testing.T, figure string) float64 {
	t.Helper()
	for _, f := range r.Ratios {
		if f.Figure == figure {
			return f.Value
		}
	}
	t.Fatalf("wsbench gave no ratio of %q", figure)
	return 0
}

// build builds a program of this module.
func build(t *testing.T, dir, name string) string {
	t.Helper()
	bin := filepath.Join(dir, filepath.Base(name))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/moonx-farm/ws-gateway/"+name)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return bin
}

// ports returns two free ports.
func ports(t *testing.T) (public, admin int) {
	t.Helper()
	var found [2]int
	for i := range found {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ln.Close() }()
		addr, ok := ln.Addr().(*net.TCPAddr)
		if !ok {
			t.Fatal("no TCP address")
		}
		found[i] = addr.Port
	}
	return found[0], found[1]
}

// serve runs a gateway with defaults until the test ends.
func serve(t *testing.T, bin string, public, admin int) int {
	t.Helper()
	cmd := exec.Command(bin)
	cmd.Env = append(os.Environ(), fmt.Sprint("PORT=", public), fmt.Sprint("ADMIN_PORT=", admin), "ADMIN_API_KEYS="+key, "LOG_LEVEL=info")
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("gateway: %v", err)
		}
	})
	ready, ended := make(chan struct{}), make(chan string, 1)
	go func() { // ends with the gateway, whose stderr it reads
		last := ""
		for lines := bufio.NewScanner(logs); lines.Scan(); {
			if last = lines.Text(); strings.Contains(last, "serving gateway.v1") {
				close(ready)
			}
		}
		ended <- last
	}()
	select {
	case <-ready:
	case last := <-ended:
		t.Fatalf("the gateway did not start: %s", last)
	case <-time.After(time.Minute):
		t.Fatal("the gateway hangs")
	}
	return cmd.Process.Pid
}

// stage is a gateway with defaults, and wsbench to measure it.
type stage struct {
	wsbench       string
	public, admin int
	pid           int
}

func newStage(t *testing.T) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{wsbench: build(t, dir, "cmd/wsbench")}
	s.public, s.admin = ports(t)
	s.pid = serve(t, build(t, dir, "cmd/gateway"), s.public, s.admin)
	return s
}

// measure runs a scenario of wsbench against the gateway. All its checks must
// hold.
func (s *stage) measure(t *testing.T, scenario string, flags ...string) *result {
	t.Helper()
	out := filepath.Join(t.TempDir(), "result.json")
	args := append([]string{
		scenario, "-url", fmt.Sprintf("ws://127.0.0.1:%d/ws", s.public), "-pid", fmt.Sprint(s.pid), "-json", out,
	}, flags...)
	cmd := exec.CommandContext(t.Context(), s.wsbench, args...)
	cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("wsbench: %v", err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(b, &r); err != nil || len(r.Runs) == 0 {
		t.Fatalf("wsbench's result: %v\n%s", err, b)
	}
	for _, c := range r.Checks {
		if !c.OK {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
	return &r
}

func TestAnIdleConnectionStaysWithinItsBudget(t *testing.T) {
	s := newStage(t)
	r := s.measure(t, "idle", "-n", fmt.Sprint(connections), "-settle", "5s",
		"-metrics", fmt.Sprintf("http://127.0.0.1:%d/metrics", s.admin), "-admin-key", key)
	heap, rss := r.figure(t, "live heap per connection"), r.figure(t, "RSS growth per connection")
	t.Logf("live heap %.0f bytes, RSS %.0f bytes per connection", heap, rss)
	if heap <= 0 || heap > heapBudget {
		t.Errorf("live heap is %.0f bytes per connection, the budget is %d", heap, heapBudget)
	}
	if rss <= 0 || rss > rssBudget {
		t.Errorf("RSS grew by %.0f bytes per connection, the budget is %d", rss, rssBudget)
	}
	if more := r.figure(t, "goroutines after") - r.figure(t, "goroutines before"); more > 10 {
		t.Errorf("%.0f goroutines more for %d idle connections", more, connections)
	}
}
