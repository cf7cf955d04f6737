package hub

import (
	"context"
	"errors"

	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// joiner is a seat with the join that brings it up to date.
type joiner struct {
	*seat
	join *joining
}

// seat returns the session's seat in the room, taken now if it had none, and
// holding back what is delivered; nil when the session is gone. A seat that is
// there already is begun anew only when again is true, else nil is returned.
func (h *Hub) seat(ctx context.Context, s *session.Session, name string, again bool) (*joiner, error) {
	if st, ok := s.SeatIn(name).(*seat); ok {
		return st.begin(again), nil
	}
	r, err := h.enter(ctx, name)
	if err != nil {
		return nil, err
	}
	fresh, taken, err := h.take(r, s)
	if fresh != nil {
		return fresh, nil
	}
	h.exit(r)
	if taken == nil {
		return nil, err
	}
	return taken.begin(again), nil
}

// take seats a session in a room that it has entered, and begins its join. A
// seat that the session had already is returned as taken. Neither, when it
// cannot sit.
func (h *Hub) take(r *room, s *session.Session) (fresh *joiner, taken *seat, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if st, ok := s.SeatIn(r.name).(*seat); ok {
		return nil, st, nil
	}
	j := &joining{}
	st := &seat{room: r, sess: s, joining: j, index: -1}
	ok, err := s.Sit(st, h.cfg.MaxRooms)
	if !ok {
		return nil, nil, err
	}
	r.sit(st)
	h.memberships.Add(1)
	h.occupiedLocked(r)
	h.countedLocked(r)
	return &joiner{st, j}, nil, nil
}

// begin begins a join of a seat that is there: nil when the seat is given up,
// or when it must not be begun again.
func (s *seat) begin(again bool) *joiner {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	if s.index < 0 || !again {
		return nil
	}
	// What an unfinished join has held back goes with it.
	s.joining = &joining{lost: s.joining != nil}
	return &joiner{s, s.joining}
}

// Admit makes a session a member on somebody else's word, as Join does from
// the room's present position, unless it is one or is about to be. The reply
// is sent only to who becomes a member. It reports whether the session is a
// member now or about to be.
func (h *Hub) Admit(ctx context.Context, s *session.Session, name string, reply func(Joined) wire.Event) (bool, error) {
	st, err := h.seat(ctx, s, name, false)
	if st != nil {
		err = h.join(ctx, st, wire.Position{}, reply)
	}
	if err != nil && !errors.Is(err, errOvertaken) {
		return false, err
	}
	return s.SeatIn(name) != nil, nil
}

// Expel ends a session's membership and says so with an event that follows
// everything the room has sent to it; false when there was none.
// Nor does it overtake a join: what says that the session is in the room again
// follows.
func (h *Hub) Expel(s *session.Session, name string, say wire.Event) bool {
	return h.leave(s, name, func() { s.Send(say) })
}

// leave gives a session's seat up, in the session and in the room at once: a
// seat that is in the room alone would get what the session's next one gets.
// said, nil for nothing to say, is called with the room's lock held.
func (h *Hub) leave(s *session.Session, name string, said func()) bool {
	st, ok := s.SeatIn(name).(*seat)
	if !ok {
		return false
	}
	r := st.room
	r.mu.Lock()
	s.Stand(st)
	stood := h.standLocked(st, false)
	if stood {
		s.Exited(r.name)
	}
	if stood && said != nil {
		said()
	}
	r.mu.Unlock()
	if stood {
		h.exit(r)
	}
	return stood
}
