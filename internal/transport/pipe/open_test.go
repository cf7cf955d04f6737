package pipe

import (
	"sync"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestAConnectionMayBeClosedWhileItsHandlerIsMade(t *testing.T) {
	h := &handler{}
	c := New(func(conn transport.Conn) transport.Handler {
		h.conn = conn
		conn.Send(frame("refused"))
		conn.Close(wire.Close{Code: 4001})
		return h
	})
	c.Wait()
	if len(h.closed) != 1 || h.closed[0].Code != 4001 || len(c.Sent()) != 1 {
		t.Errorf("closed with %v", h.closed)
	}
}

func TestWaitMayRunBesideEverything(t *testing.T) {
	h := &handler{answer: func(string) bool { return false }}
	c := New(open(h))
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 100 {
			c.Text("x")
			h.conn.Resume()
		}
		h.conn.Close(wire.Close{Code: 4003})
	})
	for range 4 {
		wg.Go(func() {
			for range 100 {
				c.Wait()
			}
		})
	}
	wg.Wait()
	c.Wait()
	if len(h.closed) != 1 {
		t.Errorf("closed %d times", len(h.closed))
	}
}
