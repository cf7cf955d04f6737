package socketio

import (
	codec "github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// errState is a packet that its connection is in no state for.
var errState = wire.NewError(wire.InvalidMessage, "the packet's namespace is not connected to, or is already")

// Receive implements transport.Handler.
func (c *conn) Receive(op wire.Op, message []byte) bool {
	p, whole, err := c.add(op, message)
	switch {
	case err != nil:
		c.violate(err)
		return true
	case !whole:
		return true
	}
	switch {
	case p.Type == codec.Connect:
		return c.connect(p)
	case p.Type == codec.Disconnect:
		return c.leave(p)
	case p.IsEvent():
		return c.event(p, message)
	case p.IsAck():
		return c.ack(p)
	}
	c.violate(errState)
	return true
}

// add makes packets of messages. Who has no socket can only ask for one:
// nothing of anybody else is kept.
func (c *conn) add(op wire.Op, message []byte) (codec.Packet, bool, error) {
	if !c.assembler.Pending() && op == wire.Text && len(message) > 0 && message[0] != '0'+byte(codec.Connect) && !c.known() {
		return codec.Packet{}, false, errState
	}
	p, whole, err := c.assembler.Add(op, message)
	if err == nil && (!whole || p.Type.Binary()) {
		c.assemble(!whole)
	}
	return p, whole, err
}

// known tells whether the client has had a socket that it has not left.
func (c *conn) known() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sockets != nil
}

// assemble notes that attachments are awaited, or have come.
func (c *conn) assemble(awaited bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended || awaited == c.assembling:
		return
	case awaited:
		c.untilLocked(c.server.cfg.PacketTimeout)
	case c.aloneLocked(): // the gateway has closed the last socket meanwhile
		c.untilLocked(c.server.cfg.ConnectTimeout)
	default:
		c.foreverLocked()
	}
	c.assembling = awaited
}

// find returns the socket that a packet is for, nil without one.
func (c *conn) find(p codec.Packet) *socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := c.sockets; s != nil; s = s.next {
		if s.in(p.Namespace) {
			return s
		}
	}
	return nil
}

// in tells whether the socket is in a namespace, which is nil for "/".
func (s *socket) in(namespace []byte) bool {
	if namespace == nil {
		return s.codec.Namespace() == "/"
	}
	return s.codec.Namespace() == string(namespace)
}

// event hands an event to the session of its namespace. Its codec looks at the
// data.
func (c *conn) event(p codec.Packet, message []byte) bool {
	s := c.find(p)
	if s == nil {
		c.violate(errState)
		return true
	}
	if p.Type.Binary() {
		var err error
		if message, err = p.Inline(); err != nil {
			c.violate(err)
			return true
		}
	}
	return s.receive(message)
}

// closeFlood is how a connection ends that goes on although it was told to slow
// down.
var closeFlood = wire.Close{Code: wire.CloseLimit, Reason: "rate limit exceeded"}

// closeLeft is how a session ends whose client has left the namespace.
var closeLeft = wire.Close{Code: wire.CloseNoStatus, Reason: "client namespace disconnect"}

// leave ends the socket of a DISCONNECT. The connection stays.
func (c *conn) leave(p codec.Packet) bool {
	s := c.find(p)
	if err := p.Check(); err != nil || s == nil {
		c.violate(errState)
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked(s)
	if s.ended || c.ended {
		return true
	}
	s.endLocked(closeLeft, true)
	s.finishLocked()
	if c.aloneLocked() {
		c.waitLocked()
	}
	return true
}
