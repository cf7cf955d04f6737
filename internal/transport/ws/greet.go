package ws

import (
	"errors"
	"io"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
)

// openTime is how long the answer to an upgrade waits for the handler to be
// opened, which may have to ask other services.
const openTime = 50 * time.Millisecond

// greeting is the answer to an upgrade that waits for the handler.
type greeting struct {
	conn  *conn
	head  []byte
	timer wheel.Timer
}

// open makes the handler and answers the upgrade, whichever takes longer.
func (c *conn) open(open func(transport.Conn) transport.Handler, head []byte) {
	g := &greeting{conn: c, head: head}
	c.srv.wheel.Schedule(&g.timer, openTime, g)
	c.handler = open(c)
	if c.srv.wheel.Cancel(&g.timer) {
		c.greet(head)
	}
}

// Expired implements wheel.Task.
func (g *greeting) Expired() {
	g.conn.srv.spawn(func() { g.conn.greet(g.head) }) // else shutdown has cut the connection
}

// greet answers the upgrade. What the handler has queued meanwhile, mostly its
// first message, goes in the same write: one call of the system instead of two,
// and no flusher to wake for each new connection. Nobody else writes before,
// as the writer's part is taken from the start.
func (c *conn) greet(head []byte) {
	b := c.srv.batches.get()
	if c.gatherHead(b, head) {
		n, err := c.sock.write(b.segs)
		b.reset()
		if n -= len(head); n < 0 && (err == nil || errors.Is(err, errAgain)) {
			err = io.ErrShortWrite // a new socket takes a few hundred bytes, or is broken
		}
		if c.wrote(max(n, 0), err) {
			c.goOn(b)
		}
	}
	c.srv.batches.put(b)
}

// gatherHead fills a batch with the answer and what is queued; false when the
// connection is dead already.
func (c *conn) gatherHead(b *batch, head []byte) bool {
	b.reset()
	b.add(head)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settleLocked()
	if c.dead {
		c.endLocked()
		return false
	}
	if c.queue != nil && c.parked {
		c.gatherLocked(b)
	}
	c.writing, c.progress = true, c.srv.now()
	return true
}

// goOn keeps the writer's part for what one write did not take: other
// goroutines than a connection's own may not wait for its peer.
func (c *conn) goOn(b *batch) {
	if c.parked {
		c.flush(b)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scheduled = c.srv.spawn(c.writeAlone)
}
