package socketio

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	codec "github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

var (
	errFast     = wire.NewError(wire.RateLimited, "more messages than the connection or its user may send: slow down")
	errUnheard  = wire.NewError(wire.Unavailable, "the connection cannot be decided about now")
	closeLeaves = wire.Close{Code: wire.CloseGoingAway, Reason: "shutting down"}
)

// connect handles a CONNECT.
func (c *conn) connect(p codec.Packet) bool {
	name := string(p.Namespace)
	if p.Namespace == nil {
		name = "/"
	}
	of, served := c.server.codecs[name]
	if !served {
		of = codec.For(name)
	}
	p.Data = bytes.Clone(p.Data) // outlives the message
	if err := p.Check(); err != nil || c.connected(of) {
		c.violate(errState)
		return true
	}
	if verdict := c.account.Take(limit.Message); verdict == limit.End {
		c.engine.Close(closeFlood)
		return true
	} else if verdict == limit.Refuse {
		return c.refuse(of, errFast)
	}
	if !served {
		c.server.refused.Add(1)
		c.engine.Send(of.Refused(codec.InvalidNamespace, nil))
		return true
	}
	claims, err := p.Auth()
	if err != nil {
		return c.refuse(of, err)
	}
	return c.decide(Connect{Codec: of, SID: newSID(), Auth: claims, Data: p.Data, Peer: c.remote(), Account: c.account})
}

// connected tells whether a namespace has an open socket.
func (c *conn) connected(of codec.Codec) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.socketLocked(of)
	return s != nil && !s.ended
}

// newSID makes the id of a socket, and of its session: 96 random bits. It tells
// nothing of the id of the Engine.IO session, which is a secret.
func newSID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// refuse answers a CONNECT with an error. It returns true: the packet is done.
func (c *conn) refuse(of codec.Codec, err error) bool {
	var known *wire.Error
	if !errors.As(err, &known) {
		c.server.log.Error("decide about a Socket.IO connection", zap.Error(err))
		known = errUnheard
	}
	data, err := json.Marshal(struct {
		Code      wire.Code `json:"code"`
		Retryable bool      `json:"retryable"`
		Reason    string    `json:"reason,omitempty"`
	}{known.Code, known.Code.Retryable(), known.Reason})
	if err != nil {
		data = nil // not reached: strings and a truth value
	}
	c.server.refused.Add(1)
	c.engine.Send(of.Refused(known.Message, data))
	return true
}

// decide lets Admission decide. Nothing is received meanwhile.
func (c *conn) decide(a Connect) bool {
	a.Identity = c.who()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return true
	}
	ctx, cancel := context.WithCancel(c.server.ctx)
	if c.term != nil {
		a.Claim = c.term.claim
	}
	if !c.server.spawn(func() {
		defer c.engine.Resume()
		defer c.decided(cancel)
		admitted, err := c.server.admission.Admit(ctx, a)
		if err != nil {
			c.rebuff(a.Codec, err)
			return
		}
		if !c.resume(ctx, a, admitted) {
			c.begin(a, admitted)
		}
	}) {
		cancel()
		c.engine.Close(closeLeaves)
		return true
	}
	c.stop = cancel
	return false
}

// decided notes that a decision has ended.
func (c *conn) decided(cancel context.CancelFunc) {
	cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop = nil
}

// who is the connection's identity, which the session of a socket may have
// renewed; nil until a CONNECT was admitted.
func (c *conn) who() *auth.Identity {
	known, h := c.first()
	// Without conn.mu: the session has a lock of its own, which comes before.
	if s, ok := h.(interface{ Identity() *auth.Identity }); ok {
		if now := s.Identity(); now != nil {
			return now
		}
	}
	return known
}

// first returns what the connection was admitted with, and the handler of an
// open socket, nil without one.
func (c *conn) first() (*auth.Identity, transport.Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := c.sockets; s != nil; s = s.next {
		if !s.ended {
			return c.identity, s.handler
		}
	}
	return c.identity, nil
}

// rebuff tells a client that its CONNECT was not admitted.
func (c *conn) rebuff(of codec.Codec, err error) {
	var leave LeaveError
	if errors.As(err, &leave) {
		c.engine.Close(leave.Close)
		return
	}
	c.refuse(of, err)
}

// begin opens the socket of a CONNECT that was admitted.
func (c *conn) begin(a Connect, admitted Admitted) {
	s := c.consent(a, admitted.Identity)
	if s == nil {
		return // the connection has ended meanwhile
	}
	c.opened(s, admitted.Open(s))
}

// consent tells the client, and returns its socket; nil when it has gone.
func (c *conn) consent(a Connect, identity *auth.Identity) *socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.addLocked(a, identity)
	if s == nil {
		return nil
	}
	pid := ""
	if r := c.server.recovery; r != nil {
		pid = newPID()
		s.track = r.newTrack(s, a.SID, pid, newOwner(), identity)
		r.add(s.track)
	}
	c.server.connects.Add(1)
	c.engine.Send(a.Codec.Connected(a.SID, pid))
	return s
}

// addLocked adds the socket of a CONNECT that was admitted; nil when the
// connection has ended.
func (c *conn) addLocked(a Connect, identity *auth.Identity) *socket {
	if c.ended {
		return nil
	}
	if old := c.socketLocked(a.Codec); old != nil { // which the gateway has closed
		c.dropLocked(old)
	}
	s := &socket{conn: c, codec: a.Codec, next: c.sockets}
	c.sockets = s
	c.identity = identity
	c.serveLocked()
	c.foreverLocked()
	c.server.sockets.Add(1)
	return s
}

// opened gives the socket its handler, and tells that of an end that came
// meanwhile.
func (c *conn) opened(s *socket, h transport.Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.handler = h
	s.finishLocked()
}
