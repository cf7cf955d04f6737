package socketio

import (
	"context"
	"net/netip"
	"slices"
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

	timer wheel.Timer // ends at due

	mu         sync.Mutex
	due        time.Duration      // guarded by mu: when the connection is closed, in the server's time; 0: never
	claim      *Claim             // guarded by mu: nil without, and once a CONNECT was admitted
	identity   *auth.Identity     // guarded by mu: nil until then
	sockets    []*socket          // guarded by mu: open, and those that the gateway has ended
	stop       context.CancelFunc // guarded by mu: ends the decision about a CONNECT; nil when none is under way
	assembling bool               // guarded by mu: attachments are awaited, until due
	waits      bool               // guarded by mu: is in the server's lobby
	ended      bool               // guarded by mu
}

var (
	_ transport.Handler = (*conn)(nil)
	_ wheel.Task        = (*conn)(nil)
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
	for _, s := range c.sockets {
		if s.codec == of {
			return s
		}
	}
	return nil
}

// dropLocked forgets a socket.
func (c *conn) dropLocked(s *socket) {
	c.sockets = slices.DeleteFunc(c.sockets, func(other *socket) bool { return other == s })
}

// aloneLocked tells whether no socket is open.
func (c *conn) aloneLocked() bool {
	return !slices.ContainsFunc(c.sockets, func(s *socket) bool { return !s.ended })
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

// untilLocked closes the connection after some time, unless that is called off.
func (c *conn) untilLocked(after time.Duration) {
	c.due = c.server.now() + after
	c.server.wheel.Schedule(&c.timer, after, c)
}

// foreverLocked calls it off.
func (c *conn) foreverLocked() {
	if c.due != 0 {
		c.due = 0
		c.server.wheel.Cancel(&c.timer)
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
func (c *conn) Expired() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended || c.due == 0 || c.server.now() < c.due: // called off, or set anew
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
	for _, s := range c.sockets {
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
