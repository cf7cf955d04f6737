package hub

import "github.com/moonx-farm/ws-gateway/internal/wire"

// Places calls f with how far a session's rooms have been delivered to it: all
// up to there is queued on its connection. Rooms of which that is not known are
// left out: nothing with a position has come since the session joined. f is
// called without locks. A connection that is not here has no places.
func (h *Hub) Places(connection string, f func(wire.Place)) {
	s := h.Session(connection)
	if s == nil {
		return
	}
	for _, it := range s.Rooms() {
		if st, ok := it.(*seat); ok {
			if at := st.at(); !at.IsZero() {
				f(wire.Place{Room: st.room.name, Position: at})
			}
		}
	}
}

// deliveredLocked notes how far the room has been delivered, and returns that.
// Guarded by room.mu.
func (r *room) deliveredLocked(last wire.Position) wire.Position {
	if last.Offset > 0 {
		r.last = last
	}
	return last
}

// at is how far the room has been delivered to a member, zero if that is not
// known.
func (s *seat) at() wire.Position {
	r := s.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.index < 0 || s.joining != nil || s.quiet || s.epoch == 0 || r.last.Epoch != s.epoch || r.last.Offset < s.from {
		return wire.Position{}
	}
	return r.last
}
