package hub

import (
	"github.com/moonx-farm/ws-gateway/internal/codec"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// batch is one call of Deliver. Publications are encoded when the first
// receiver of a codec is met, once.
type batch struct {
	h       *Hub
	pubs    []*wire.Publication
	slow    wire.SlowPolicy
	encoded []encoding // one per codec: a slice, as there are two at most
}

type encoding struct {
	codec  codec.Codec
	frames []*wire.Frame
}

func (b *batch) frames(c codec.Codec) []*wire.Frame {
	for i := range b.encoded {
		if b.encoded[i].codec == c {
			return b.encoded[i].frames
		}
	}
	frames := make([]*wire.Frame, len(b.pubs))
	for i, p := range b.pubs {
		frames[i] = encode(c, p, b.slow)
	}
	b.encoded = append(b.encoded, encoding{c, frames})
	return frames
}

func encode(c codec.Codec, p *wire.Publication, slow wire.SlowPolicy) *wire.Frame {
	f := c.Publication(p)
	if slow != wire.SlowDisconnect {
		f.Slow, f.Notices = slow, notices{c}
	}
	return f
}

// Deliver implements broker.Sink.
func (h *Hub) Deliver(name string, pubs []*wire.Publication) {
	if len(pubs) == 0 {
		return
	}
	span := h.monitor.Begin(monitor.Deliver)
	b := batch{h: h, pubs: pubs, slow: h.slow(name)}
	switch r := h.find(name); {
	case wire.Unnamed(name):
		b.toUnnamed(name)
	case r != nil:
		b.toRoom(r)
	}
	span.End()
	// A publisher that outruns the processor waits here, through the broker's
	// hand-off. An error means shutdown.
	_ = h.pacer.Pace(h.ctx)
}

func (b *batch) toRoom(r *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.members) == 0 {
		return
	}
	origins := b.markOrigins(r)
	first := b.pubs[0].Position
	sameEpoch := first.Epoch == r.deliveredLocked(b.pubs[len(b.pubs)-1].Position).Epoch
	n := 0
	for _, st := range r.members {
		switch {
		case st.joining != nil:
			st.hold(b.pubs, b.h.cfg.CatchUpBytes)
		case st.origin || !sameEpoch || st.passed(first):
			n += b.sift(st)
		default:
			n += len(b.pubs)
			if st.quiet {
				st.quiet = false
			}
			st.sess.SendFrames(b.frames(st.sess.Codec()))
		}
	}
	for _, st := range origins {
		st.origin = false
	}
	b.h.delivered.Add(int64(n))
}

// passed reports whether a member has been told of what begins at first already,
// or follows another epoch. A member without a position, whose room kept
// nothing when it joined, follows any. Guarded by the room's mu.
func (s *seat) passed(first wire.Position) bool {
	return first.Offset != 0 && s.epoch != 0 && (s.epoch != first.Epoch || first.Offset <= s.from)
}

// markOrigins marks the members who published something of the batch, or are
// left out of something.
func (b *batch) markOrigins(r *room) []*seat {
	var marked []*seat
	last := ""
	for _, p := range b.pubs {
		for _, id := range p.Except {
			marked = b.mark(r, id, marked)
		}
		if p.Origin == "" || p.Origin == last {
			continue
		}
		last = p.Origin
		marked = b.mark(r, p.Origin, marked)
	}
	return marked
}

// sift sends to one member what it does not have yet, replying to its own
// publishes in front of them. It returns how many were sent.
func (b *batch) sift(st *seat) int {
	frames := b.frames(st.sess.Codec())
	n := 0
	for i, p := range b.pubs {
		own := p.Origin == st.sess.ID()
		if own {
			acknowledge(st.sess, p)
		}
		if st.wants(p) && !p.Spares(st.sess.ID()) {
			st.quiet = false
			st.sess.SendFrames(frames[i : i+1])
			n++
		}
	}
	return n
}

// wants tells whether a publication is news to a member: of its epoch, and
// behind its position. Another epoch is announced by a Gap first, so what is
// of another one now was overtaken by the member's join.
func (s *seat) wants(p *wire.Publication) bool {
	return !s.passed(p.Position)
}

// acknowledge replies to the publish that p came from, if nobody has.
func acknowledge(s *session.Session, p *wire.Publication) {
	if p.Unconfirmed {
		return // the broker's answer will
	}
	s.EndPublish(func(under *session.Publish) bool { return under.Nonce == p.Position.Nonce }, func(under *session.Publish) wire.Event {
		return Published(under, p.Position)
	})
}

// hold keeps publications back for a joining member.
func (s *seat) hold(pubs []*wire.Publication, limit int) {
	j := s.joining
	if j.restart {
		return
	}
	for _, p := range pubs {
		j.held = append(j.held, p)
		if j.bytes += size(p); j.bytes > limit {
			j.held, j.bytes, j.restart = nil, 0, true
			return
		}
	}
}

// size is what a publication costs a queue, about.
func size(p *wire.Publication) int { return len(p.Data) + len(p.Event) + len(p.Room) + 112 }

// Gap implements broker.Sink.
func (h *Hub) Gap(name string, g wire.Gap) {
	r := h.find(name)
	if r == nil {
		return
	}
	h.gaps.Add(1)
	present := uint64(0)
	if !g.Top.IsZero() {
		present = h.epoch(name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, st := range r.members {
		switch {
		case st.joining != nil:
			st.joining.held, st.joining.restart = nil, true
		case st.misses(g, present):
			own := g
			own.From = st.reached(g.From)
			st.epoch, st.from, st.quiet = g.Top.Epoch, g.Top.Offset, true
			st.sess.Send(gapEvent(name, own))
		}
	}
}

// reached is how far a member had got before a hole: as far as the broker had
// delivered, unless the member has joined since, with what was in the log.
func (s *seat) reached(delivered uint64) uint64 {
	switch {
	case s.quiet && s.epoch != 0:
		return s.from
	case delivered == 0:
		return 0 // not known
	}
	return max(delivered, s.from)
}

// epoch is the room's present epoch, 0 if that cannot be found out. A member
// of that epoch is not concerned by what the broker says of earlier ones.
func (h *Hub) epoch(name string) uint64 {
	page, err := h.broker.History(h.ctx, name, wire.Position{}, 0)
	if err != nil {
		return 0
	}
	return page.Top.Epoch
}

// misses tells whether a gap is one for a member, and not one that it joined
// behind.
func (s *seat) misses(g wire.Gap, present uint64) bool {
	switch {
	case s.epoch == 0 || g.Top.IsZero(): // there is no position to tell it by
		return true
	case s.epoch == g.Top.Epoch:
		return s.from < g.Top.Offset
	}
	return s.epoch != present
}
