package socketio

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	codec "github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// conn is one Engine.IO connection with the sockets on it.
type conn struct {
	// Immutable after Open.
	server  *Server
	engine  transport.Conn
	account *limit.Account
	peer    [16]byte // as session.Session keeps it

	assembler codec.Assembler // owned by Receive

	mu         sync.Mutex
	term       *term              // guarded by mu: when the connection is closed; nil: never
	identity   *auth.Identity     // guarded by mu: nil until a CONNECT was admitted
	sockets    *socket            // guarded by mu: the list of those that are open, and those that the gateway has ended
	stop       context.CancelFunc // guarded by mu: ends the decision about a CONNECT; nil when none is under way
	assembling bool               // guarded by mu: attachments are awaited, until due
	waits      bool               // guarded by mu: is in the server's lobby
	ended      bool               // guarded by mu
}

var (
	_ transport.Handler = (*conn)(nil)
	_ wheel.Task        = (*term)(nil)
)

// remote is the client's address, the zero Addr when it is not known.
func (c *conn) remote() netip.Addr {
	if addr := netip.AddrFrom16(c.peer).Unmap(); !addr.IsUnspecified() {
		return addr
	}
	return netip.Addr{}
}

// socketLocked returns the socket of a namespace, nil without one.
func (c *conn) socketLocked(of codec.Codec) *socket {
	for s := c.sockets; s != nil; s = s.next {
		if s.codec == of {
			return s
		}
	}
	return nil
}

// dropLocked forgets a socket.
func (c *conn) dropLocked(s *socket) {
	for at := &c.sockets; *at != nil; at = &(*at).next {
		if *at == s {
			*at = s.next
			return
		}
	}
}

// aloneLocked tells whether no socket is open.
func (c *conn) aloneLocked() bool {
	for s := c.sockets; s != nil; s = s.next {
		if !s.ended {
			return false
		}
	}
	return true
}

// waitLocked puts a connection without a socket into the lobby.
func (c *conn) waitLocked() {
	if !c.waits {
		c.waits = true
		c.server.enter(c)
	}
}

// serveLocked takes it out again, as it has a socket or has ended.
func (c *conn) serveLocked() {
	if c.waits {
		c.waits = false
		c.server.leave(c)
	}
}

// term is the time that a connection has for something. Those with a socket,
// and with nothing half received, have none.
type term struct {
	conn  *conn         // immutable
	due   time.Duration // guarded by conn.mu: in the server's time
	claim *Claim        // guarded by conn.mu: until a CONNECT was admitted; nil without
	timer wheel.Timer   // expires at due
}

// untilLocked closes the connection after some time, unless that is called off.
func (c *conn) untilLocked(after time.Duration) {
	if c.term == nil {
		c.term = &term{conn: c}
	}
	c.term.due = c.server.now() + after
	c.server.wheel.Schedule(&c.term.timer, after, c.term)
}

// foreverLocked calls it off.
func (c *conn) foreverLocked() {
	if c.term != nil {
		c.server.wheel.Cancel(&c.term.timer)
		c.term = nil
	}
}

// decisionPoll is how often a connection is looked at whose time is over while
// its CONNECT is being decided.
const decisionPoll = 250 * time.Millisecond

// What a client is told whose time is over.
var (
	closeIdle = wire.Close{Code: wire.CloseUnauthenticated, Reason: "no namespace was connected to in time"}
	closeSlow = wire.Close{Code: wire.ClosePolicyViolation, Reason: "the attachments of a packet did not come in time"}
)

// Expired implements wheel.Task.
func (t *term) Expired() {
	c := t.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended || c.term != t || c.server.now() < t.due: // called off, or set anew
	case c.assembling:
		c.engine.Close(closeSlow)
	case c.stop != nil:
		c.untilLocked(decisionPoll)
	default:
		c.engine.Close(closeIdle)
	}
}

// violate ends the connection for a violation of the protocol.
func (c *conn) violate(err error) {
	why := wire.Close{Code: wire.CloseProtocolError, Reason: "not Socket.IO"}
	if wire.IsCode(err, wire.TooLarge) {
		why = wire.Close{Code: wire.CloseTooBig, Reason: "packet too large"}
	}
	c.server.violation.Add(1)
	c.engine.Close(why)
}

// Closed implements transport.Handler.
func (c *conn) Closed(why wire.Close) {
	for _, s := range c.end(why) {
		s.finish(why)
	}
	c.account.Close()
	c.server.open.Add(-1)
}

// end ends everything on the connection and returns who must be told.
func (c *conn) end(why wire.Close) (told []*socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.foreverLocked()
	c.serveLocked()
	if c.stop != nil {
		c.stop()
	}
	for s := c.sockets; s != nil; s = s.next {
		if !s.ended {
			s.endLocked(why, false)
			if s.doneLocked() {
				told = append(told, s)
			}
		}
	}
	c.sockets = nil
	return told
}
