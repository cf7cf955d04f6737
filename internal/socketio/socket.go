package socketio

import (
	"slices"

	codec "github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// socket is a client's socket in one namespace: the connection of a session.
type socket struct {
	conn  *conn       // immutable
	codec codec.Codec // immutable
	track *track      // set as the socket is added; nil without recovery

	// Guarded by conn.mu.
	next    *socket           // of the connection
	handler transport.Handler // nil while it is being made
	busy    bool              // the handler receives
	ended   bool              // takes and receives nothing more
	told    bool              // the handler's Closed was called, or is about to be
	why     *wire.Close       // of the end; nil while it is open
	held    *held             // what is sent, while the session is being recovered; else nil
	asks    map[uint32]reply  // questions that the client has not answered, by id; nil: none
}

var _ transport.Conn = (*socket)(nil)

// Send implements transport.Conn.
func (s *socket) Send(f *wire.Frame) bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	switch {
	case s.ended:
		return false
	case s.held != nil:
		return s.held.add(s.conn.server.cfg.MaxMissedBytes, f)
	case f.Parts != nil:
		return s.conn.engine.SendAll(f.Parts)
	}
	return s.conn.engine.Send(f)
}

// SendAll implements transport.Conn.
func (s *socket) SendAll(fs []*wire.Frame) bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.held != nil && !s.ended {
		return s.held.add(s.conn.server.cfg.MaxMissedBytes, fs...)
	}
	return !s.ended && s.conn.engine.SendAll(whole(fs))
}

// whole puts the parts of frames in their place.
func whole(fs []*wire.Frame) []*wire.Frame {
	if !slices.ContainsFunc(fs, func(f *wire.Frame) bool { return f.Parts != nil }) {
		return fs
	}
	all := make([]*wire.Frame, 0, len(fs)+codec.MaxAttachments)
	for _, f := range fs {
		if f.Parts == nil {
			all = append(all, f)
		}
		all = append(all, f.Parts...)
	}
	return all
}

// Resume implements transport.Conn. The whole connection waits for a socket's
// request: its messages come one at a time.
func (s *socket) Resume() { s.conn.engine.Resume() }

// Close implements transport.Conn. Whether it closes the socket alone is for
// the code to say.
func (s *socket) Close(why wire.Close) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.ended:
	case endsConnection(why.Code):
		c.engine.Close(why)
	default:
		c.engine.Send(s.codec.Disconnected())
		s.endLocked(why, true)
		s.finishLocked()
		if c.aloneLocked() {
			c.waitLocked()
			c.untilLocked(c.server.cfg.ConnectTimeout)
		}
	}
}

// endsConnection tells whether a close is the whole connection's: the protocol
// has broken, or the client is to come back by itself, which the library does
// only then.
func endsConnection(code wire.CloseCode) bool {
	const private = 4000 // what is below concerns the WebSocket
	return code < private || code.Reconnect() != wire.ReconnectNever
}

// Alone tells whether no other socket is open on the connection: what the
// session of this one becomes need not be that of others.
func (s *socket) Alone() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	for other := s.conn.sockets; other != nil; other = other.next {
		if other != s && !other.ended {
			return false
		}
	}
	return true
}

// Abort implements transport.Conn: it cuts the whole connection.
func (s *socket) Abort() { s.conn.engine.Abort() }

// endLocked ends the socket, which is open. alone says that its connection
// stays: then its session is over, and cannot be recovered.
func (s *socket) endLocked(why wire.Close, alone bool) {
	s.ended, s.why = true, &why
	if s.track != nil {
		s.track.ended(alone)
	}
	s.goneLocked()
	s.conn.server.sockets.Add(-1)
}

// doneLocked tells, once, that the handler must be told of the end now: it is
// there, and receives nothing.
func (s *socket) doneLocked() bool {
	if !s.ended || s.busy || s.told || s.handler == nil {
		return false
	}
	s.told = true
	return true
}

// finishLocked tells the handler of the end if it is time, on a goroutine of
// its own: who ends a socket may hold its session's lock.
func (s *socket) finishLocked() {
	if s.doneLocked() {
		s.conn.server.spawn(func() { s.finish(*s.why) })
	}
}

// receive hands a message to the handler. It returns what that returns.
func (s *socket) receive(text []byte) bool {
	c := s.conn
	c.mu.Lock()
	if s.ended {
		c.mu.Unlock()
		return true
	}
	s.busy = true
	c.mu.Unlock()
	more := s.handler.Receive(wire.Text, text)
	c.mu.Lock()
	s.busy = false
	s.finishLocked()
	c.mu.Unlock()
	return more
}
