//go:build linux

package abuse

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWithoutDescriptorsItServesThoseItHasAndRecovers(t *testing.T) {
	a, pid := child(t)
	a.serves(t)
	before := a.rested(t, pid)

	honest := a.dial(t, "ann")
	var all unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &all); err != nil {
		t.Fatal(err)
	}
	now := uint64(descriptors(t, pid))
	few := unix.Rlimit{Cur: now + 5, Max: all.Max}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	var crowd []*peer
	for range 50 {
		p := a.peer(t)
		p.say(t, handshake+"Authorization: Bearer bob\r\n\r\n")
		crowd = append(crowd, p)
	}
	// The limit is on their numbers, of which some are above it.
	eventually(t, "no descriptor is left", func() bool { return uint64(descriptors(t, pid)) >= few.Cur })
	for range 100 {
		honest.send(t, `{"event":"ping","id":1}`)
		honest.until(t, "pong")
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &all, nil); err != nil {
		t.Fatal(err)
	}
	for i, p := range crowd {
		if status := p.answer(t); status != 101 {
			t.Errorf("client %d, which had to wait, got %d", i, status)
		}
	}
	a.serves(t)
	honest.cut()
	for _, p := range crowd {
		_ = p.Close()
	}
	var after state
	for begin := time.Now(); ; {
		after = a.rested(t, pid)
		back := after.goroutines == before.goroutines && after.descriptors == before.descriptors && after.heap <= before.heap+before.heap/20
		if back || time.Since(begin) > patience/2 {
			t.Logf("%+v, then %+v", before, after)
			if !back {
				t.Error("does not return to what it was")
			}
			return
		}
	}
}

// rested waits until nobody is connected and measures another process: the
// least of several looks, of which each may meet the end of the one before.
func (a *app) rested(t *testing.T, pid int) state {
	t.Helper()
	eventually(t, "all have gone", func() bool { return a.metric(t, "ws_gateway_connections") == 0 })
	least := a.look(t, pid)
	for begin := time.Now(); time.Since(begin) < rest; time.Sleep(poll) {
		now := a.look(t, pid)
		least = state{
			min(least.heap, now.heap), min(least.goroutines, now.goroutines), min(least.descriptors, now.descriptors),
		}
	}
	return least
}

// look measures another process from outside.
func (a *app) look(t *testing.T, pid int) state {
	t.Helper()
	const key = "Authorization: Bearer " + adminKey
	var s state
	_, heap := a.get(t, a.admin, "/debug/pprof/heap?debug=1&gc=1", key)
	for line := range strings.Lines(heap) {
		_, _ = fmt.Sscanf(line, "# HeapAlloc = %d", &s.heap)
	}
	_, goroutines := a.get(t, a.admin, "/debug/pprof/goroutine?debug=1", key)
	if _, err := fmt.Sscanf(goroutines, "goroutine profile: total %d", &s.goroutines); err != nil || s.heap == 0 {
		t.Fatalf("the profiles say nothing: %v", err)
	}
	s.descriptors = descriptors(t, pid)
	return s
}
