package session

import "github.com/moonx-farm/ws-gateway/internal/wire"

// recorder is a connection that keeps account of its session's rooms, so that
// the session can be recovered. Its methods must not block and are called with
// a room's lock held.
type recorder interface {
	Entered(p wire.Place)
	Exited(room string)
}

// Entered tells the connection, if it wants to know, that the session is in a
// room: everything after the position follows.
func (s *Session) Entered(p wire.Place) {
	if c, ok := s.conn.(recorder); ok {
		c.Entered(p)
	}
}

// Exited tells it that the session is in the room no longer. It is not told of
// what ends with the session.
func (s *Session) Exited(room string) {
	if c, ok := s.conn.(recorder); ok {
		c.Exited(room)
	}
}
