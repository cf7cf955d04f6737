package socketio

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// shelf is a store that may be away.
type shelf struct {
	*Memory
	mu    sync.Mutex
	away  error // guarded by mu
	puts  int   // guarded by mu: that were tried
	state map[string]string
}

func (s *shelf) Put(ctx context.Context, all []Record) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	if s.away != nil {
		return nil, s.away
	}
	for _, r := range all {
		if s.state[r.Key] = string(r.State); r.State == nil {
			delete(s.state, r.Key)
		}
	}
	return s.Memory.Put(ctx, all)
}

func (s *shelf) Take(ctx context.Context, key, match, owner string, ttl time.Duration) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return nil, s.away
	}
	return s.Memory.Take(ctx, key, match, owner, ttl)
}

func (s *shelf) set(err error) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = err
	return s.puts
}

// all are the states that are there.
func (s *shelf) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, state := range s.state {
		all = append(all, sid.ReplaceAllString(state, `"sid":_`))
	}
	return strings.Join(all, "\n")
}

// instance is a server with recovery.
type instance struct {
	*rig
	resume func(c transport.Conn, from Resumed) (transport.Handler, bool)
}

func (i *instance) Admit(ctx context.Context, c Connect) (Admitted, error) {
	a, err := i.play.Admit(ctx, c)
	a.Resume = func(_ context.Context, conn transport.Conn, from Resumed) (transport.Handler, bool) {
		return i.resume(conn, from)
	}
	return a, err
}

// inFleet runs a test on two servers that share a store.
func inFleet(t *testing.T, f func(t *testing.T, s *shelf, a, b *instance)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New()
		w.Start()
		s := &shelf{Memory: NewMemory(), state: map[string]string{}}
		var all []*instance
		for range 2 {
			i := &instance{rig: &rig{&play{}, t, New(Config{Recovery: time.Minute, MaxMissedBytes: 100}, w, zap.NewNop())}}
			i.server.UseAdmission(i)
			i.server.UseRecovery(s, func(string, func(wire.Place)) {})
			i.resume = func(c transport.Conn, from Resumed) (transport.Handler, bool) {
				for _, p := range from.Rooms {
					c.(*socket).Entered(p)
					c.Send(text("missed in " + p.Room))
				}
				p := &part{Conn: c, play: i.play, id: from.Identity}
				return p, from.Say(text("first"))
			}
			all = append(all, i)
		}
		f(t, s, all[0], all[1])
		synctest.Wait()
		for _, i := range all {
			i.server.Shutdown()
		}
		w.Stop()
	})
}

func text(s string) *wire.Frame { return wire.NewFrame(wire.Text, append(wire.Buffer(len(s)), s...)) }

// pidOf takes the answer to a CONNECT and returns the pid in it.
func (c *client) pidOf() string {
	c.t.Helper()
	synctest.Wait()
	for _, f := range c.Sent() {
		if _, rest, ok := strings.Cut(string(f.Payload()), `"pid":"`); ok {
			pid, _, _ := strings.Cut(rest, `"`)
			return pid
		}
	}
	c.t.Error("no pid came")
	return ""
}

// begin connects, and enters rooms.
func (i *instance) begin(rooms ...string) (*client, string) {
	c := i.open()
	c.Text("0")
	pid := c.pidOf()
	for _, room := range rooms {
		i.session(len(i.sessions) - 1).Conn.(*socket).Entered(wire.Place{Room: room})
	}
	time.Sleep(time.Second)
	return c, pid
}

func again(pid string) string { return `0{"pid":"` + pid + `"}` }

func TestWhoIsTakenOverElsewhereIsCut(t *testing.T) {
	inFleet(t, func(t *testing.T, s *shelf, a, b *instance) {
		old, pid := a.begin("x")
		c := b.open()
		c.ask(again(pid), "missed in x", `40{"sid":_,"pid":"`+pid+`"}`, "first")
		old.ended(0) // until it writes
		time.Sleep(40 * time.Second)
		old.ended(wire.CloseAbnormal)
		c.ended(0)
		c.bye()
		time.Sleep(time.Second)
		if got := s.all(); got != `{"sid":_,"user":"ann","rooms":[{"room":"x"}]}` {
			t.Errorf("states: %s", got)
		}
		time.Sleep(2 * time.Minute)
		late := a.open()
		late.Text(again(pid))
		if late.pidOf() == pid {
			t.Error("recovered after its time")
		}
		late.bye()
	})
}

// TestWhoComesBackAtOnceStays: what its connection before has still to write
// is not taken for a sign that it is elsewhere by now.
func TestWhoComesBackAtOnceStays(t *testing.T) {
	inFleet(t, func(t *testing.T, _ *shelf, a, _ *instance) {
		old, pid := a.begin("x")
		a.session(0).Conn.(*socket).Entered(wire.Place{Room: "y"})
		synctest.Wait() // that is written, and what comes now is gathered
		old.bye()
		c := a.open()
		c.ask(again(pid), "missed in x", "missed in y", `40{"sid":_,"pid":"`+pid+`"}`, "first")
		time.Sleep(40 * time.Second)
		c.ended(0)
		c.bye()
	})
}

// TestWhoIsTakenUpHasEndedBefore: both have the same id.
func TestWhoIsTakenUpHasEndedBefore(t *testing.T) {
	inFleet(t, func(t *testing.T, s *shelf, a, _ *instance) {
		old, pid := a.begin("x")
		gate := make(chan struct{})
		a.end = func() { <-gate }
		go old.Close(wire.Close{Code: wire.CloseNoStatus})
		time.Sleep(time.Second)
		if got := s.all(); got != `{"sid":_,"user":"ann","rooms":[{"room":"x"}]}` {
			t.Errorf("states: %s", got)
		}
		c := a.open()
		c.ask(again(pid))
		time.Sleep(time.Second)
		c.ask("")
		close(gate)
		c.ask("", "missed in x", `40{"sid":_,"pid":"`+pid+`"}`, "first")
		c.bye()
		time.Sleep(time.Second)
		a.empty()
		if r := a.server.recovery; len(r.tracks) != 0 || len(r.queue) != 0 {
			t.Errorf("%d sessions are left", len(r.tracks))
		}
	})
}

func TestARecoveryThatFailsLeavesNothing(t *testing.T) {
	inFleet(t, func(t *testing.T, _ *shelf, a, b *instance) {
		old, pid := a.begin("x")
		old.bye()
		b.resume = func(c transport.Conn, _ Resumed) (transport.Handler, bool) {
			c.Send(text("not all of it"))
			return nil, false
		}
		c := b.open()
		c.Text(again(pid))
		synctest.Wait()
		sent := c.Sent()
		if len(sent) != 2 || !strings.HasPrefix(string(sent[0].Payload()), `40{"sid":`) || strings.Contains(string(sent[0].Payload()), pid) {
			t.Errorf("%d frames came, first %s", len(sent), sent[0].Payload())
		}
		if st := b.server.Stats(); st.Sockets != 1 || st.Connects != 1 || st.Recovered != 0 {
			t.Errorf("%+v", st)
		}
		c.bye()
		b.empty()
	})
}

func TestMoreThanMayBeMissedIsNotHeld(t *testing.T) {
	inFleet(t, func(t *testing.T, _ *shelf, a, b *instance) {
		old, pid := a.begin("x")
		old.bye()
		inner := b.resume
		b.resume = func(c transport.Conn, from Resumed) (transport.Handler, bool) {
			if !c.SendAll([]*wire.Frame{text(strings.Repeat("x", 60))}) || c.Send(text(strings.Repeat("x", 60))) || c.Send(text("x")) {
				t.Error("not what fits was held")
			}
			return inner(c, from)
		}
		c := b.open()
		c.Text(again(pid))
		if c.pidOf() == pid {
			t.Error("recovered with holes")
		}
		c.bye()
	})
}

func TestAClientThatGoesAsItIsRecoveredMayTryAgain(t *testing.T) {
	inFleet(t, func(t *testing.T, _ *shelf, a, b *instance) {
		old, pid := a.begin("x")
		old.bye()
		inner := b.resume
		var c *client
		b.resume = func(conn transport.Conn, from Resumed) (transport.Handler, bool) {
			c.Client.Close(wire.Close{Code: wire.CloseAbnormal})
			time.Sleep(time.Millisecond)
			return inner(conn, from)
		}
		c = b.open()
		c.Text(again(pid))
		time.Sleep(time.Second)
		synctest.Wait()
		b.resume = inner
		c = b.open()
		c.ask(again(pid), "missed in x", `40{"sid":_,"pid":"`+pid+`"}`, "first")
		c.bye()
		b.empty()
	})
}

func TestAStoreThatIsAwayIsWrittenToLater(t *testing.T) {
	inFleet(t, func(t *testing.T, s *shelf, a, _ *instance) {
		before := s.set(errors.New("away"))
		c, pid := a.begin("x")
		gone, _ := a.begin("y")
		gone.bye()
		time.Sleep(time.Minute)
		if tries := s.set(nil) - before; tries < 5 || tries > 20 || s.all() != "" {
			t.Errorf("%d tries in a minute, %s", tries, s.all())
		}
		time.Sleep(6 * time.Second)
		if got := s.all(); !strings.Contains(got, `[{"room":"x"}]`) || !strings.Contains(got, `[{"room":"y"}]`) {
			t.Errorf("states: %s", got)
		}
		s.set(errors.New("away"))
		other := a.open()
		other.Text(again(pid))
		if other.pidOf() == pid {
			t.Error("recovered from nothing")
		}
		s.set(nil)
		other.bye()
		c.bye()
	})
}

func TestALastWriteFollowsShutdown(t *testing.T) {
	inFleet(t, func(t *testing.T, s *shelf, a, b *instance) {
		c, pid := a.begin("x")
		for range 3 {
			a.session(0).Conn.(*socket).Exited("x")
			a.session(0).Conn.(*socket).Entered(wire.Place{Room: "y"})
		}
		c.bye()
		a.server.Shutdown()
		other := b.open()
		other.ask(again(pid), "missed in y", `40{"sid":_,"pid":"`+pid+`"}`, "first")
		other.bye()
	})
}

func TestAStateTooLargeIsNotKept(t *testing.T) {
	inFleet(t, func(t *testing.T, s *shelf, a, b *instance) {
		c, pid := a.begin("x")
		for n := range 1000 {
			a.session(0).Conn.(*socket).Entered(wire.Place{Room: strings.Repeat("r", 100) + string(rune('a'+n%26)) + strings.Repeat("s", n/26)})
		}
		c.bye()
		time.Sleep(time.Second)
		other := b.open()
		other.Text(again(pid))
		if s.all() != "" && other.pidOf() == pid {
			t.Error("half a state was kept")
		}
		other.bye()
	})
}

func TestRecoveryIsOffAndItsTimeHasBounds(t *testing.T) {
	for d, ok := range map[time.Duration]bool{0: true, time.Second: true, 24 * time.Hour: true, -1: false, time.Millisecond: false, 25 * time.Hour: false} {
		if err := (Config{Recovery: d}).Validate(); (err == nil) != ok {
			t.Errorf("%v: %v", d, err)
		}
	}
	s := New(Config{}, nil, zap.NewNop())
	s.UseRecovery(NewMemory(), nil)
	if s.recovery != nil {
		t.Error("recovery is on")
	}
	s.Shutdown()
}

func TestAMemoryHasBounds(t *testing.T) {
	m := NewMemory()
	big := Record{Key: "a", Owner: "1", Match: "m", State: make([]byte, memoryBytes/2), TTL: time.Minute}
	for _, key := range []string{"a", "b", "a"} {
		big.Key = key
		if taken, err := m.Put(t.Context(), []Record{big}); taken != nil || err != nil {
			t.Fatal(taken, err)
		}
	}
	if got, _ := m.Take(t.Context(), "a", "m", "2", time.Minute); got == nil {
		t.Error("what was kept first is gone")
	}
	if got, _ := m.Take(t.Context(), "b", "m", "2", time.Minute); got != nil || m.bytes > memoryBytes {
		t.Error("too much is kept")
	}
}

func TestAGuestGoesOnAsTheOneItWasUnlessItsConnectionIsAnothers(t *testing.T) {
	was := taken{state: state{User: "guest-1"}}
	for name, c := range map[string]struct {
		id    auth.Identity
		known bool
		ok    bool
	}{
		"a new guest":       {auth.Identity{UserID: "guest-2", Guest: true}, false, true},
		"the same":          {auth.Identity{UserID: "guest-1", Guest: true}, true, true},
		"another's already": {auth.Identity{UserID: "guest-2", Guest: true}, true, false},
	} {
		id, ok := was.identity(&c.id, c.known)
		if ok != c.ok || ok && id.UserID != "guest-1" {
			t.Errorf("%s: %+v, %v", name, id, ok)
		}
	}
}
