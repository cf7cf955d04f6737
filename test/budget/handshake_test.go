//go:build linux

package budget

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// handshakeBudget is how many authenticated connections a second of the
// gateway's CPU lets in, at least, for each that the bare server does.
const handshakeBudget = 0.6

// bareServer starts the program in ./bare: built apart, as the race detector,
// under which this test may run, would slow it down.
func bareServer(t *testing.T) (addr string, pid int) {
	t.Helper()
	cmd := exec.Command(build(t, t.TempDir(), "test/budget/bare"))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatal("the bare server did not start")
	}
	return lines.Text(), cmd.Process.Pid
}

// cpuOf is the CPU time that a process has used, from the scheduler's figures
// of its threads.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	var sum time.Duration
	for _, task := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, task.Name()))
		if err != nil {
			t.Fatal(err)
		}
		ns, err := strconv.ParseInt(string(b[:max(bytes.IndexByte(b, ' '), 0)]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}

// greeted opens a connection and waits for the upgrade and, if asked, for the
// first message.
func greeted(addr string, user int, first bool) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"+
		"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer user-%06d\r\n\r\n", addr, user)
	var got []byte
	for buf := make([]byte, 2048); err == nil && !greets(got, first); {
		var n int
		n, err = c.Read(buf)
		got = append(got, buf[:n]...)
	}
	if err == nil && !bytes.HasPrefix(got, []byte("HTTP/1.1 101 ")) {
		err = fmt.Errorf("not upgraded: %.200q", got)
	}
	if err != nil {
		_ = c.Close()
	}
	return c, err
}

// greets tells whether everything has come that a server says first.
func greets(got []byte, first bool) bool {
	_, frames, ok := bytes.Cut(got, []byte("\r\n\r\n"))
	return ok && (!first || bytes.Contains(frames, []byte(`"event":"connected"`)))
}

// crowd opens n connections, inflight at a time, and returns what one cost the
// server. They are closed before it returns, behind the measurement.
func crowd(t *testing.T, addr string, pid, n int, users *atomic.Int64, first bool) time.Duration {
	t.Helper()
	const inflight = 32
	conns := make([]net.Conn, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	before := cpuOf(t, pid)
	for range inflight {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				c, err := greeted(addr, int(users.Add(1)), first)
				if err != nil {
					t.Error(err)
					return
				}
				conns[i] = c
			}
		})
	}
	wg.Wait()
	cost := cpuOf(t, pid) - before
	for _, c := range conns {
		if c != nil {
			_ = c.Close()
		}
	}
	return cost / time.Duration(n)
}

// TestAHandshakeCostsLittleMoreThanABareOne lets thousands of authenticated
// clients in, each into its user's room, in turn with a bare server that does
// nothing but upgrade, and compares the CPU time of the two.
func TestAHandshakeCostsLittleMoreThanABareOne(t *testing.T) {
	const rounds, each = 5, 1000
	public, admin := ports(t)
	pid := serve(t, build(t, t.TempDir(), "cmd/gateway"), public, admin)
	gateway := fmt.Sprintf("127.0.0.1:%d", public)
	bare, barePid := bareServer(t)
	var users atomic.Int64
	crowd(t, gateway, pid, each, &users, true)
	crowd(t, bare, barePid, each, &users, false)
	within(t, 1/handshakeBudget, func() float64 {
		var ratios []float64
		for range rounds {
			theirs := crowd(t, bare, barePid, each, &users, false)
			ours := crowd(t, gateway, pid, each, &users, true)
			ratios = append(ratios, float64(ours)/float64(theirs))
			t.Logf("CPU of a handshake: gateway %v, bare %v", ours, theirs)
		}
		slices.Sort(ratios)
		return ratios[rounds/2]
	})
}
