package session

import (
	"slices"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Identity is who the session speaks for; nil until it is authenticated.
func (s *Session) Identity() *auth.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity
}

// OwnRoom is the room of the session's user, "" until it is authenticated.
func (s *Session) OwnRoom() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ownRoom
}

// Identify gives the session an identity if it still has the one given as old
// (nil: none), and says so with events that precede whatever else is sent to
// the identity. It returns false when that has changed or the session is gone.
func (s *Session) Identify(old, identity *auth.Identity, say ...wire.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.identity != old {
		return false
	}
	s.identity, s.ownRoom = identity, wire.UserRoom(identity.UserID)
	for _, e := range say {
		s.Send(e)
	}
	return true
}

// Refuse marks a session that has no identity as gone: Identify fails from now
// on. It reports false when the session has an identity or is gone already.
func (s *Session) Refuse() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.identity != nil || s.closed {
		return false
	}
	s.closed = true
	return true
}

// Gone tells whether the session was refused or has closed.
func (s *Session) Gone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Sit adds a seat. It returns LimitExceeded at limit seats, and false without
// an error when the session is gone.
func (s *Session) Sit(seat Seat, limit int) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return false, nil
	case len(s.seats) >= limit:
		return false, wire.NewError(wire.LimitExceeded, "the connection is in as many rooms as it may be")
	}
	if s.seats == nil {
		s.seats = make([]Seat, 0, 2) // its user's room and usually one more
	}
	s.seats = append(s.seats, seat)
	return true, nil
}

// Stand takes a seat away.
func (s *Session) Stand(seat Seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.seats, seat); i >= 0 {
		s.seats = slices.Delete(s.seats, i, i+1)
	}
}

// SeatIn returns the seat in a room, nil without one.
func (s *Session) SeatIn(room string) Seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seat := range s.seats {
		if seat.Room() == room {
			return seat
		}
	}
	return nil
}

// Outside runs f, which must not block, unless the session has a seat in the
// room; then it returns false. What comes of taking one follows f.
func (s *Session) Outside(room string, f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.seats, func(seat Seat) bool { return seat.Room() == room }) {
		return false
	}
	f()
	return true
}

// Rooms returns the seats of the session.
func (s *Session) Rooms() []Seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seats)
}

// Seats counts the rooms of the session.
func (s *Session) Seats() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seats)
}

// Leave marks the session as gone and returns its seats to give up.
func (s *Session) Leave() []Seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	seats := s.seats
	s.seats = nil
	return seats
}

// BeginPublish notes the publish under way, which EndPublish ends. A session
// has one at a time, as its messages come one at a time.
func (s *Session) BeginPublish(p *Publish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publish = p
}

// EndPublish ends a publish and sends its reply, unless somebody else has. The
// publication's own delivery and the broker's answer race for it: whoever is
// first replies, so that the reply precedes the publisher's copy.
func (s *Session) EndPublish(match func(*Publish) bool, reply func(*Publish) wire.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.publish
	if p == nil || !match(p) {
		return
	}
	s.publish = nil
	if p.ID != nil {
		s.conn.Send(s.codec.Event(reply(p)))
	}
}

// DropPublish ends a publish without a reply. It reports false when somebody
// else has ended it: then it was replied to.
func (s *Session) DropPublish(match func(*Publish) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publish == nil || !match(s.publish) {
		return false
	}
	s.publish = nil
	return true
}
