package pipe

import (
	"sync"

	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Client is the far end of an in-memory connection. All methods are safe for
// concurrent use.
type Client struct {
	handler transport.Handler // immutable after New

	mu      sync.Mutex
	running bool            // guarded by mu: a goroutine delivers
	held    bool            // guarded by mu: Receive returned false
	resumed bool            // guarded by mu: Resume came before Receive returned
	closing bool            // guarded by mu: nothing can be sent any more
	ended   bool            // guarded by mu: Closed was called or is being called
	discard bool            // guarded by mu: sent frames are counted only
	bound   int             // guarded by mu: bytes kept unread; 0 is no bound
	why     wire.Close      // guarded by mu
	inbox   []inbound       // guarded by mu: injected and not delivered
	sent    []*wire.Frame   // guarded by mu: not yet taken
	bytes   int             // guarded by mu: of sent
	count   int             // guarded by mu: frames ever sent
	helpers int             // guarded by mu: goroutines that run the handler
	waiters []chan struct{} // guarded by mu: told of any change
}

type inbound struct {
	op      wire.Op
	payload []byte
}

// New opens a connection: open gets its Conn and makes its handler, as in
// transport.Request. Frames that are sent are recorded.
func New(open func(transport.Conn) transport.Handler) *Client {
	return begin(&Client{}, open)
}

// NewDiscard opens a connection that counts frames and keeps none, for
// benchmarks.
func NewDiscard(open func(transport.Conn) transport.Handler) *Client {
	return begin(&Client{discard: true}, open)
}

// begin makes the handler. The connection counts as delivering meanwhile, so
// that a Close by open has its Closed afterwards.
func begin(c *Client, open func(transport.Conn) transport.Handler) *Client {
	c.running = true
	c.handler = open((*conn)(c))
	c.deliver()
	return c
}

// Bound makes the client slow: once more than n bytes are recorded and not
// taken, the connection is cut with wire.CloseTooSlow. 0 takes the bound away.
func (c *Client) Bound(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound = n
}

// Receive injects one message. It returns once the handler has taken it, or
// at once while the handler holds or another goroutine delivers: then the
// message waits its turn. It reports false when the connection is closing.
// The payload is copied only if it waits.
func (c *Client) Receive(op wire.Op, payload []byte) bool {
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return false
	}
	if c.running || c.held {
		c.inbox = append(c.inbox, inbound{op, append([]byte(nil), payload...)})
		c.mu.Unlock()
		return true
	}
	c.inbox = append(c.inbox, inbound{op, payload})
	c.running = true
	c.mu.Unlock()
	c.deliver()
	return true
}

// Text injects a text message.
func (c *Client) Text(s string) bool { return c.Receive(wire.Text, []byte(s)) }

// Close ends the connection from the client's side with a close frame.
func (c *Client) Close(why wire.Close) {
	c.end(why)
	c.Wait()
}

// Wait waits for handlers that run on goroutines of the connection. Do not
// call it from a handler.
func (c *Client) Wait() {
	for {
		c.mu.Lock()
		if c.helpers == 0 {
			c.mu.Unlock()
			return
		}
		wait := c.waiterLocked()
		c.mu.Unlock()
		<-wait
	}
}

// Sent takes the frames that were sent since the last call.
func (c *Client) Sent() []*wire.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	fs := c.sent
	c.sent, c.bytes = nil, 0
	return fs
}

// Next takes the next frame, waiting for it. It returns nil once the
// connection has ended and everything was taken.
func (c *Client) Next() *wire.Frame {
	for {
		c.mu.Lock()
		if len(c.sent) > 0 {
			f := c.sent[0]
			c.sent = c.sent[1:]
			c.bytes -= len(f.Payload())
			c.mu.Unlock()
			return f
		}
		if c.closing {
			c.mu.Unlock()
			return nil
		}
		wait := c.waiterLocked()
		c.mu.Unlock()
		<-wait
	}
}

// Count is the number of frames ever sent to the client.
func (c *Client) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// Ended tells whether the connection is closing or closed, and why.
func (c *Client) Ended() (wire.Close, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why, c.closing
}

// deliver runs the handler until the inbox is empty, the handler holds or the
// connection ends. The caller has set running.
func (c *Client) deliver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closing && len(c.inbox) > 0 {
		m := c.inbox[0]
		c.inbox = c.inbox[1:]
		c.mu.Unlock()
		goOn := c.handler.Receive(m.op, m.payload)
		c.mu.Lock()
		if !goOn && !c.resumed {
			c.held = true
			break
		}
		if !goOn {
			c.resumed = false
		}
	}
	if len(c.inbox) == 0 {
		c.inbox = nil
	}
	c.running = false
	if c.closing {
		c.closedLocked()
	}
}

// end closes once; the first decides.
func (c *Client) end(why wire.Close) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(why)
}

func (c *Client) endLocked(why wire.Close) {
	if c.closing {
		return
	}
	c.closing, c.why = true, why
	c.tellLocked()
	if !c.running {
		c.closedLocked()
	}
}

// closedLocked calls Closed on a goroutine of its own, once.
func (c *Client) closedLocked() {
	if c.ended {
		return
	}
	c.ended, c.inbox = true, nil
	why := c.why
	c.helpLocked(func() { c.handler.Closed(why) })
}

// helpLocked runs f on a goroutine that Wait waits for.
func (c *Client) helpLocked(f func()) {
	c.helpers++
	go func() { // ends with f
		f()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.helpers--
		c.tellLocked()
	}()
}

func (c *Client) waiterLocked() chan struct{} {
	wait := make(chan struct{})
	c.waiters = append(c.waiters, wait)
	return wait
}

func (c *Client) tellLocked() {
	for _, w := range c.waiters {
		close(w)
	}
	c.waiters = nil
}

func (c *Client) sendLocked(f *wire.Frame) bool {
	if c.closing {
		return false
	}
	n := len(f.Payload())
	if c.bound > 0 && c.bytes+n > c.bound {
		c.endLocked(wire.Close{Code: wire.CloseTooSlow, Reason: "send queue full"})
		return false
	}
	c.count++
	if !c.discard {
		c.sent, c.bytes = append(c.sent, f), c.bytes+n
		c.tellLocked()
	}
	return true
}
