package pipe

import (
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type handler struct {
	conn   transport.Conn
	answer func(payload string) bool
	mu     sync.Mutex
	got    []string // guarded by mu
	closed []wire.Close
}

func (h *handler) Receive(_ wire.Op, payload []byte) bool {
	h.mu.Lock()
	h.got = append(h.got, string(payload))
	h.mu.Unlock()
	return h.answer == nil || h.answer(string(payload))
}

func (h *handler) Closed(c wire.Close) { h.closed = append(h.closed, c) }

func (h *handler) expect(t *testing.T, want ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.got, want) {
		t.Errorf("got %q, want %q", h.got, want)
	}
}

func open(h *handler) func(transport.Conn) transport.Handler {
	return func(c transport.Conn) transport.Handler { h.conn = c; return h }
}

func frame(s string) *wire.Frame { return wire.NewFrame(wire.Text, append(wire.Buffer(len(s)), s...)) }

func TestAHandlerThatHoldsGetsTheRestAfterResume(t *testing.T) {
	h := &handler{}
	c := New(open(h))
	h.answer = func(s string) bool { return s != "hold" }
	for _, s := range []string{"a", "hold", "b", "hold", "c"} {
		c.Text(s)
	}
	h.expect(t, "a", "hold")
	h.conn.Resume()
	c.Wait()
	h.expect(t, "a", "hold", "b", "hold")
	h.conn.Resume()
	c.Wait()
	h.expect(t, "a", "hold", "b", "hold", "c")
}

func TestResumeMayComeBeforeReceiveReturns(t *testing.T) {
	h := &handler{}
	c := New(open(h))
	h.answer = func(string) bool { h.conn.Resume(); return false }
	c.Text("a")
	c.Text("b")
	h.expect(t, "a", "b")
}

func TestFramesAreRecordedInOrder(t *testing.T) {
	h := &handler{}
	c := New(open(h))
	h.conn.Send(frame("1"))
	h.conn.SendAll([]*wire.Frame{frame("2"), frame("3")})
	if f := c.Next(); string(f.Payload()) != "1" {
		t.Errorf("first is %q", f.Payload())
	}
	if n := len(c.Sent()); n != 2 || c.Count() != 3 {
		t.Errorf("%d left of %d", n, c.Count())
	}
	go h.conn.Send(frame("4"))
	if f := c.Next(); string(f.Payload()) != "4" {
		t.Errorf("awaited %q", f.Payload())
	}
}

func TestClosedIsCalledOnceAndTheFirstCloseDecides(t *testing.T) {
	for name, end := range map[string]struct {
		f    func(h *handler, c *Client)
		code wire.CloseCode
	}{
		"close":     {func(h *handler, _ *Client) { h.conn.Close(wire.Close{Code: 4003}) }, 4003},
		"abort":     {func(h *handler, _ *Client) { h.conn.Abort() }, wire.CloseAbnormal},
		"by client": {func(_ *handler, c *Client) { c.Close(wire.Close{Code: 1000}) }, 1000},
		"too slow":  {func(h *handler, c *Client) { c.Bound(3); h.conn.Send(frame("long")) }, wire.CloseTooSlow},
		"inside receive": {func(h *handler, c *Client) {
			h.answer = func(string) bool { h.conn.Close(wire.Close{Code: 1003}); return false }
			c.Text("x")
			c.Text("y")
		}, 1003},
	} {
		t.Run(name, func(t *testing.T) {
			h := &handler{}
			c := New(open(h))
			end.f(h, c)
			h.conn.Close(wire.Close{Code: 1011})
			h.conn.Abort()
			c.Wait()
			if len(h.closed) != 1 || h.closed[0].Code != end.code {
				t.Errorf("closed with %v", h.closed)
			}
			if h.conn.Send(frame("late")) || c.Text("late") || c.Next() != nil {
				t.Error("something passed a closed connection")
			}
		})
	}
}

func BenchmarkSendDiscard(b *testing.B) {
	h := &handler{}
	NewDiscard(open(h))
	f := frame("x")
	b.ReportAllocs()
	for b.Loop() {
		h.conn.Send(f)
	}
}
