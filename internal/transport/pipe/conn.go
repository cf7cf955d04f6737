package pipe

import (
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// conn is the gateway's end of a Client.
type conn Client

var (
	_ transport.Conn       = (*conn)(nil)
	_ transport.Observable = (*conn)(nil)
)

// State implements transport.Observable: what the test has not taken is queued.
func (c *conn) State() transport.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return transport.State{Name: "pipe", QueueBytes: c.bytes}
}

// Send implements transport.Conn.
func (c *conn) Send(f *wire.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return (*Client)(c).sendLocked(f)
}

// SendAll implements transport.Conn.
func (c *conn) SendAll(fs []*wire.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range fs {
		if !(*Client)(c).sendLocked(f) {
			return false
		}
	}
	return !c.closing
}

// Resume implements transport.Conn.
func (c *conn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held {
		c.resumed = true
		return
	}
	c.held = false
	if c.closing || len(c.inbox) == 0 {
		return
	}
	c.running = true
	(*Client)(c).helpLocked((*Client)(c).deliver)
}

// Close implements transport.Conn.
func (c *conn) Close(why wire.Close) { (*Client)(c).end(why) }

// Abort implements transport.Conn.
func (c *conn) Abort() {
	(*Client)(c).end(wire.Close{Code: wire.CloseAbnormal, Reason: "aborted"})
}
