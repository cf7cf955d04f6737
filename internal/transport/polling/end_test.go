package polling

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestCloseTellsWhatIsQueuedAndThenTheEnd(t *testing.T) {
	r := newRig(t, Config{})
	c := r.connect()
	held := c.poll()
	c.conn.Close(wire.Close{Code: wire.CloseServiceRestart, Reason: "drain"})
	expectAnswer(t, held, "1")
	if why := c.expectClosed(t, wire.CloseServiceRestart); why.Reason != "drain" {
		t.Error(why)
	}
	c.expectGone()

	c = r.connect()
	c.conn.Send(textFrame("last"))
	c.conn.Close(wire.Close{Code: wire.CloseDisconnected})
	c.conn.Close(wire.Close{Code: wire.CloseServiceRestart}) // the first decides
	if c.conn.Send(textFrame("later")) || c.conn.SendAll(nil) {
		t.Error("something was queued behind the close")
	}
	c.expectPost("4late") // thrown away
	c.expectGet("4last\x1e1")
	c.expectClosed(t, wire.CloseDisconnected)
	if len(c.messages) != 0 {
		t.Error("a message was delivered after Close")
	}
	c.expectGone()

	s, p, _ := r.dialNew()
	p.conn.Send(textFrame("last"))
	p.conn.Close(wire.Close{Code: wire.CloseServiceRestart})
	s.expect("4last")
	if code := s.expectEnd(); code != websocket.StatusServiceRestart {
		t.Errorf("closed with %d", code)
	}
	p.expectClosed(t, wire.CloseServiceRestart)
}

func TestACloseThatNobodyFetchesIsBoundedInTime(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		c := r.connect()
		begin := time.Now()
		c.conn.Close(wire.Close{Code: wire.CloseServiceRestart})
		c.expectClosed(t, wire.CloseServiceRestart)
		expectTime(t, "end", begin, 5*time.Second, 100*time.Millisecond)
		c.expectGone()
	})
}

func TestAbortEndsTheSessionAtOnce(t *testing.T) {
	r := newRig(t, Config{})
	c := r.connect()
	held := c.poll()
	c.conn.Abort()
	c.conn.Abort()
	expectAnswer(t, held, "1")
	c.expectClosed(t, wire.CloseAbnormal)
	c.expectGone()
	s, p, _ := r.dialNew()
	p.conn.Abort()
	s.expectEnd()
	p.expectClosed(t, wire.CloseAbnormal)
}

func TestASessionMayEndBeforeItIsOpen(t *testing.T) {
	r := newRig(t, Config{})
	r.open = func(p *peer) { p.conn.Close(wire.Close{Code: wire.CloseUnauthenticated}) }
	got := r.do(r.ctx(), http.MethodGet, base+"polling", nil)
	if _, rest, _ := strings.Cut(got.body, "\x1e"); rest != "1" {
		t.Errorf("%+v", got)
	}
	take(t, r.peers).expectClosed(t, wire.CloseUnauthenticated)
	c := r.dial("")
	parseOpen(t, c.read())
	if code := c.expectEnd(); code != websocket.StatusCode(wire.CloseUnauthenticated) {
		t.Errorf("closed with %d", code)
	}
	take(t, r.peers).expectClosed(t, wire.CloseUnauthenticated)

	r.open = func(p *peer) { p.conn.Abort() }
	if got := r.do(r.ctx(), http.MethodGet, base+"polling", nil); got.status != http.StatusBadRequest {
		t.Errorf("%+v", got)
	}
	take(t, r.peers).expectClosed(t, wire.CloseAbnormal)
}

func TestAHandlerThatHoldsMakesThePostWait(t *testing.T) {
	r := newRig(t, Config{})
	r.receive = func(p *peer, m message) bool { p.messages <- m; return m.payload != "hold" }
	c := r.connect()
	posted := make(chan result, 1)
	go func() { posted <- c.post("4a\x1e4hold\x1e4b") }()
	c.expect(t, "a")
	c.expect(t, "hold")
	c.conn.Send(textFrame("meanwhile"))
	c.expectGet("4meanwhile")
	if len(posted)+len(c.messages) != 0 {
		t.Error("it did not wait")
	}
	c.conn.Resume()
	c.expect(t, "b")
	if got := take(t, posted); got.body != "ok" {
		t.Errorf("%+v", got)
	}

	for name, end := range map[string]func(c *client){
		"close": func(c *client) { c.conn.Close(wire.Close{Code: wire.CloseServiceRestart}); c.expectGet("1") },
		"abort": func(c *client) { c.conn.Abort() },
	} {
		c = r.connect()
		go func() { posted <- c.post("4hold\x1e4b") }()
		c.expect(t, "hold")
		end(c)
		take(t, c.closed)
		take(t, posted)
		if len(c.messages) != 0 {
			t.Errorf("%s: a message was delivered after the end", name)
		}
	}

	// Resume may come before Receive has returned.
	r.receive = func(p *peer, m message) bool { p.conn.Resume(); p.messages <- m; return false }
	c = r.connect()
	c.expectPost("4a\x1e4b\x1e4c")
	s, p, _ := r.dialNew()
	s.send("4a")
	s.send("4b")
	p.expect(t, "a")
	p.expect(t, "b")
}

func TestAClientThatPollsTooSlowlyIsCut(t *testing.T) {
	r := newRig(t, Config{SendQueueBytes: 10_000, MaxPayload: 1000})
	c := r.connect()
	f := textFrame(strings.Repeat("x", 1000))
	n := 0
	for c.conn.Send(f) {
		n++
	}
	if n != 9 || r.Stats().SlowCuts != 1 {
		t.Errorf("%d frames of 1 KB were queued: %+v", n, r.Stats())
	}
	c.expectGet("1")
	c.expectClosed(t, wire.CloseTooSlow)
	c.expectGone()
	// One frame may be larger than the queue.
	c = r.connect()
	big := strings.Repeat("x", 50_000)
	c.conn.Send(textFrame(big))
	c.expectGet("4" + big)
}

func TestTheLargestSessionIsCutForTheBudget(t *testing.T) {
	r := newRig(t, Config{MemoryBytes: 100_000, SendQueueBytes: 60_000, MaxPayload: 1000})
	f := textFrame(strings.Repeat("x", 1000))
	small, large, other := r.connect(), r.connect(), r.connect()
	small.conn.Send(f)
	for range 50 {
		large.conn.Send(f)
	}
	for range 49 {
		other.conn.Send(f)
	}
	large.expectClosed(t, wire.CloseTooSlow)
	if s := r.Stats(); s.BudgetCuts != 1 || s.HeldBytes > 60_000 || len(other.closed)+len(small.closed) != 0 {
		t.Errorf("%+v", s)
	}
	small.expectGet("4" + strings.Repeat("x", 1000))
}

func TestBodiesTakeFromTheBudget(t *testing.T) {
	r := newRig(t, Config{MemoryBytes: 100_000, SendQueueBytes: 100_000, MaxPayload: 100_000})
	full, c := r.connect(), r.connect()
	full.conn.Send(textFrame(strings.Repeat("x", 90_000)))
	if got := c.post("4" + strings.Repeat("y", 50_000)); got.status != http.StatusServiceUnavailable && got.err == nil {
		t.Errorf("%+v", got)
	}
	c.expectClosed(t, wire.CloseTryAgainLater)
	_ = full.get()
	c = r.connect()
	c.expectPost("4" + strings.Repeat("y", 50_000))
}

func TestPollingSessionsAreBoundedInNumber(t *testing.T) {
	r := newRig(t, Config{MaxSessions: 3})
	for range 2 {
		r.connect()
	}
	c := r.connect()
	got := r.do(r.ctx(), http.MethodGet, base+"polling", nil)
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || len(r.peers) != 0 {
		t.Errorf("%+v", got)
	}
	r.dialNew() // a WebSocket needs no place
	c.upgrade()
	r.connect()
}

func TestShutdownEndsWhateverIsUnderWay(t *testing.T) {
	r := newRig(t, Config{})
	r.receive = func(p *peer, m message) bool { p.messages <- m; return m.payload != "hold" }
	held, stuck, holding, goodbye := r.connect(), r.connect(), r.connect(), r.connect()
	s, on, _ := r.dialNew()
	probing := r.dial(holding.sid)
	answer := held.poll()
	body, feed := io.Pipe()
	done := make(chan result, 3)
	go func() { done <- r.do(r.ctx(), http.MethodPost, stuck.url, body) }()
	_, _ = feed.Write([]byte("4never"))
	e := r.find(stuck.sid)
	until(t, "the post is under way", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.polls.post != nil })
	go func() { done <- holding.post("4hold") }()
	holding.expect(t, "hold")
	go func() { done <- goodbye.post("1") }()
	goodbye.expectClosed(t, wire.CloseNoStatus)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	expectAnswer(t, answer, "1")
	for _, p := range []*peer{held.peer, stuck.peer, holding.peer, on} {
		p.expectClosed(t, wire.CloseAbnormal)
	}
	s.expectEnd()
	probing.expectEnd()
	_ = feed.CloseWithError(io.EOF)
	for range 3 {
		take(t, done)
	}
	if got := r.do(r.ctx(), http.MethodGet, base+"polling", nil); got.status != http.StatusServiceUnavailable {
		t.Errorf("%+v", got)
	}
	if got := held.get(); got.status != http.StatusServiceUnavailable {
		t.Errorf("%+v", got)
	}
}

// TestSessionsEndOnceWhateverHappens lets clients and handlers do anything at
// any time.
func TestSessionsEndOnceWhateverHappens(t *testing.T) {
	const sessions, steps = 60, 25
	r := newRig(t, Config{MaxPayload: 10_000, SendQueueBytes: 20_000, MemoryBytes: 200_000, PingInterval: 100 * time.Millisecond, PingTimeout: 100 * time.Millisecond})
	r.receive = func(p *peer, m message) bool {
		if m.payload == "hold" {
			go p.conn.Resume()
			return false
		}
		return true
	}
	var clients sync.WaitGroup
	peers := make(chan *peer, sessions)
	for i := range sessions {
		clients.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 1))
			got := r.do(r.ctx(), http.MethodGet, base+"polling", nil)
			if got.status != http.StatusOK {
				return
			}
			packet, _, _ := strings.Cut(got.body, "\x1e")
			c := &client{r: r, url: base + "polling&sid=" + parseOpen(t, packet).SID}
			_, c.sid, _ = strings.Cut(c.url, "sid=")
			p := take(t, r.peers) // any one
			peers <- p
			for range steps {
				anything(rnd, c, p.conn)
			}
			p.conn.Close(wire.Close{Code: wire.CloseGoingAway})
			_ = c.get()
		})
	}
	clients.Wait()
	close(peers)
	var all []*peer
	for p := range peers {
		take(t, p.closed)
		all = append(all, p)
	}
	until(t, "the table is empty", func() bool { return r.Stats().Sessions == 0 })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	for _, p := range all {
		if len(p.closed) != 0 {
			t.Error("closed twice")
		}
	}
}

func anything(rnd *rand.Rand, c *client, conn transport.Conn) {
	ctx, cancel := context.WithTimeout(c.r.ctx(), time.Duration(1+rnd.IntN(50))*time.Millisecond)
	defer cancel()
	switch rnd.IntN(12) {
	case 0, 1, 2:
		c.r.do(ctx, http.MethodGet, c.url, nil)
	case 3, 4:
		c.post("4a\x1e4hold\x1e3")
	case 5, 6:
		conn.Send(textFrame(strings.Repeat("x", rnd.IntN(9000))))
	case 7:
		conn.SendAll([]*wire.Frame{textFrame("a"), textFrame("b")})
	case 8:
		s, _, err := websocket.Dial(ctx, base+"websocket&sid="+c.sid, &websocket.DialOptions{HTTPClient: c.r.client})
		if err != nil {
			return
		}
		_ = s.Write(ctx, websocket.MessageText, []byte("2probe"))
		if rnd.IntN(2) == 0 {
			_ = s.Write(ctx, websocket.MessageText, []byte("5"))
			_ = s.Write(ctx, websocket.MessageText, []byte("4hold"))
		}
		_, _, _ = s.Read(ctx)
		_ = s.CloseNow()
	case 9:
		go c.get()
		c.post(fmt.Sprint(rnd.IntN(8)))
	case 10:
		c.post("3")
	case 11:
		if rnd.IntN(4) == 0 {
			conn.Abort()
		}
	}
}
