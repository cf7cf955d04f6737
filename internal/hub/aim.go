package hub

import (
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// toUnnamed delivers what was published to no room.
func (b *batch) toUnnamed(name string) {
	id, one := wire.ConnectionOf(name)
	if !one {
		b.toEveryone()
	} else if s := b.h.Session(id); s != nil {
		b.toSession(s)
	}
}

func (b *batch) toEveryone() {
	for _, s := range b.h.Sessions() {
		b.toSession(s)
	}
}

// toSession sends to a session, once it has said who it is, what does not
// leave it out.
func (b *batch) toSession(s *session.Session) {
	if s.Identity() == nil {
		return
	}
	frames := b.frames(s.Codec())
	if b.leavesOut(s.ID()) {
		kept := make([]*wire.Frame, 0, len(frames))
		for i, p := range b.pubs {
			if !p.Spares(s.ID()) {
				kept = append(kept, frames[i])
			}
		}
		frames = kept
	}
	s.SendFrames(frames)
	b.h.delivered.Add(int64(len(frames)))
}

// leavesOut tells whether some of the batch is not for a connection.
func (b *batch) leavesOut(connection string) bool {
	for _, p := range b.pubs {
		if p.Except != nil && p.Spares(connection) {
			return true
		}
	}
	return false
}

// mark marks a member of the room, for sift to look at what it gets.
func (b *batch) mark(r *room, connection string, marked []*seat) []*seat {
	s := b.h.Session(connection)
	if s == nil {
		return marked
	}
	if st, ok := s.SeatIn(r.name).(*seat); ok && st.room == r && !st.origin {
		st.origin = true
		marked = append(marked, st)
	}
	return marked
}
