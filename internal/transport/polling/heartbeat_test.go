package polling

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// paces are heartbeats, and how much later than their time the wheel may be.
func paces() map[string]struct {
	interval, timeout, late time.Duration
} {
	return map[string]struct{ interval, timeout, late time.Duration }{
		"fast":    {300 * time.Millisecond, 200 * time.Millisecond, 0},
		"default": {25 * time.Second, 20 * time.Second, 100 * time.Millisecond},
	}
}

func eachPace(t *testing.T, f func(t *testing.T, r *rig, interval, timeout, late time.Duration)) {
	for name, p := range paces() {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{PingInterval: p.interval, PingTimeout: p.timeout}, func(t *testing.T, r *rig) {
				f(t, r, p.interval, p.timeout, p.late)
			})
		})
	}
}

// expectTime checks what time has passed, in a bubble's clock.
func expectTime(t *testing.T, what string, since time.Time, want, late time.Duration) {
	t.Helper()
	if d := time.Since(since); d < want || d > want+late {
		t.Fatalf("%s after %v, want %v", what, d, want)
	}
}

func TestPollsArePingedOnTime(t *testing.T) {
	eachPace(t, func(t *testing.T, r *rig, interval, timeout, late time.Duration) {
		c := r.connect()
		for range 10 {
			begin := time.Now()
			c.expectGet("2")
			expectTime(t, "ping", begin, interval, late)
			time.Sleep(timeout / 2)
			c.expectPost("3")
		}
		// Nobody answers any more.
		begin := time.Now()
		c.expectGet("2")
		expectTime(t, "ping", begin, interval, late)
		begin = time.Now()
		c.expectGet("1")
		expectTime(t, "end", begin, timeout, late)
		if why := c.expectClosed(t, wire.CloseAbnormal); why.Reason != "heartbeat timeout" {
			t.Error(why)
		}
		if n := r.Stats().HeartbeatTimeouts; n != 1 {
			t.Errorf("%d timeouts", n)
		}
	})
}

func TestASessionThatNobodyPollsEndsOnTime(t *testing.T) {
	eachPace(t, func(t *testing.T, r *rig, interval, timeout, _ time.Duration) {
		c := r.connect()
		time.Sleep(interval + timeout)
		// Whether or not a timer has run.
		if got := c.get(); got.status != http.StatusBadRequest {
			t.Fatalf("%+v", got)
		}
		c.expectClosed(t, wire.CloseAbnormal)

		c = r.connect()
		time.Sleep(interval + timeout - time.Millisecond)
		c.expectGet("2")
		c.expectPost("3")
		c.expectGet("2")
	})
}

func TestWebSocketsArePingedOnTime(t *testing.T) {
	eachPace(t, func(t *testing.T, r *rig, interval, timeout, late time.Duration) {
		c, p, _ := r.dialNew()
		for range 10 {
			begin := time.Now()
			c.expect("2")
			expectTime(t, "ping", begin, interval, late)
			c.send("3")
		}
		begin := time.Now()
		c.expect("2")
		expectTime(t, "ping", begin, interval, late)
		begin = time.Now()
		c.expectEnd()
		expectTime(t, "end", begin, timeout, late)
		if why := p.expectClosed(t, wire.CloseAbnormal); why.Reason != "heartbeat timeout" {
			t.Error(why)
		}
	})
}

func TestTrafficDelaysNoPingAndAPongOnce(t *testing.T) {
	eachPace(t, func(t *testing.T, r *rig, interval, timeout, late time.Duration) {
		c, p, _ := r.dialNew()
		begin := time.Now()
		time.Sleep(interval * 9 / 10)
		c.send("4talk")
		p.expect(t, "talk")
		c.expect("2")
		expectTime(t, "ping", begin, interval, late)
		time.Sleep(timeout / 2)
		begin = time.Now()
		c.send("4talk")
		p.expect(t, "talk")
		time.Sleep(timeout * 3 / 4)
		c.send("4talk")
		p.expect(t, "talk")
		c.expectEnd()
		expectTime(t, "end", begin, timeout, late)
		p.expectClosed(t, wire.CloseAbnormal)
	})
}

func TestAHandlerThatHoldsExcusesSilence(t *testing.T) {
	eachPace(t, func(t *testing.T, r *rig, interval, timeout, late time.Duration) {
		r.receive = func(p *peer, m message) bool { p.messages <- m; return false }
		s, on, _ := r.dialNew()
		c := r.connect()
		s.send("4hold")
		on.expect(t, "hold")
		posted := make(chan result, 1)
		go func() { posted <- c.post("4hold") }()
		c.expect(t, "hold")
		go s.expectEnd() // reads the pings
		time.Sleep(5 * (interval + timeout))
		if len(on.closed) != 0 || len(c.closed) != 0 {
			t.Fatal("closed while held")
		}
		on.conn.Resume()
		c.conn.Resume()
		if got := take(t, posted); got.body != "ok" {
			t.Errorf("%+v", got)
		}
		// Free again, both are judged again.
		time.Sleep(2 * (interval + timeout))
		on.expectClosed(t, wire.CloseAbnormal)
		c.expectClosed(t, wire.CloseAbnormal)
	})
}

func TestAnUpgradedSessionKeepsItsHeartbeat(t *testing.T) {
	eachPace(t, func(t *testing.T, r *rig, interval, timeout, late time.Duration) {
		c := r.connect()
		begin := time.Now()
		time.Sleep(interval / 2)
		s := c.upgrade()
		s.expect("2")
		expectTime(t, "ping", begin, interval, late)
		s.send("3")
		begin = time.Now()
		s.expect("2")
		expectTime(t, "ping", begin, interval, late)
		begin = time.Now()
		s.expectEnd()
		expectTime(t, "end", begin, timeout, late)
		c.expectClosed(t, wire.CloseAbnormal)
	})
}

func TestHeartbeatsAreCounted(t *testing.T) {
	eachPace(t, func(t *testing.T, r *rig, interval, timeout, late time.Duration) {
		c, p, _ := r.dialNew()
		count := func(sent, answered uint32) {
			t.Helper()
			synctest.Wait()
			if s, a := p.conn.(*session).Heartbeats(); s != sent || a != answered {
				t.Errorf("%d sent and %d answered, want %d and %d", s, a, sent, answered)
			}
		}
		count(0, 0)
		c.send("3") // nobody has asked
		c.send("4talk")
		p.expect(t, "talk")
		count(0, 0)
		for n := range uint32(3) {
			c.expect("2")
			count(n+1, n)
			c.send("3")
			c.send("3")
			count(n+1, n+1)
		}
		c.expectEnd()
	})
}
