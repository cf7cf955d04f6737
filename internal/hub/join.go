package hub

import (
	"context"
	"errors"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// joinAttempts bounds how often a join reads the log of a room that is busier
// than the join is quick.
const joinAttempts = 5

// reasonFar is why a position within the log is not resumed from: what was
// missed would not fit the connection's queue.
const reasonFar = "too_far_behind"

// Joined is the outcome of a join.
type Joined struct {
	Room      string
	Position  wire.Position // just before the first publication that follows
	Asked     bool          // a position was given
	Recovered bool          // and everything after it follows
	Reason    string        // why not
	Members   *Members      // nil in rooms without presence

	top       wire.Position // after the last publication that follows at once
	elsewhere Elsewhere     // who was in the room on other instances
}

// What a join comes to during which its member was expelled: within the hub,
// and for the client who asked for it.
var (
	errOvertaken = errors.New("hub: taken out of the room while joining")
	errRemoved   = wire.NewError(wire.Unavailable, "the connection was taken out of the room as it joined")
)

// Join makes a session a member and queues the reply, then what it missed
// after since (zero: nothing), then what comes live, without hole or
// duplicate. Joining again resumes again, or begins anew at the room's present
// position; when that fails, the member misses nothing. It may wait for the
// broker, within ctx. Errors: LimitExceeded, Unavailable when an Expel came in
// between, and those of the broker. A session that is gone joins nothing,
// without an error.
//
// A member's own joins come one after the other. One that meets an Admit under
// way takes its place.
func (h *Hub) Join(
	ctx context.Context, s *session.Session, name string, since wire.Position, reply func(Joined) wire.Event,
) error {
	defer h.monitor.Begin(monitor.Join).End()
	st, err := h.seat(ctx, s, name, true)
	switch {
	case st != nil:
		err = h.join(ctx, st, since, reply)
	case err == nil:
		err = overtaken(s)
	}
	if errors.Is(err, errOvertaken) {
		return errRemoved
	}
	return err
}

// join brings a seat, which holds back what is delivered, up to date.
func (h *Hub) join(ctx context.Context, st *joiner, since wire.Position, reply func(Joined) wire.Event) error {
	elsewhere := h.elsewhere(ctx, st.room.name)
	for attempt := 1; ; attempt++ {
		page, out, err := h.read(ctx, st.room.name, since)
		done := false
		if err == nil {
			out.elsewhere = elsewhere
			done, err = h.settle(st, page, out, reply)
		}
		switch {
		case done:
			return err
		case err == nil && attempt == joinAttempts:
			err = wire.NewError(wire.Unavailable, "the room is too busy to join")
		}
		if err != nil {
			h.giveUp(st)
			return err
		}
		h.restarts.Add(1)
	}
}

// giveUp ends a join that failed. Who was a member before goes on, with what
// was held back; if some of that is lost, the connection ends and resumes.
func (h *Hub) giveUp(st *joiner) {
	r := st.room
	r.mu.Lock()
	stood := false
	if !h.restoreLocked(st) {
		st.sess.Stand(st.seat)
		stood = h.standLocked(st.seat, false)
	}
	r.mu.Unlock()
	if stood {
		h.exit(r)
	}
}

// restoreLocked reports whether the seat of a failed join is not this join's to
// give up: its member was one before, or it is another join's by now, or
// nobody's. Guarded by room.mu.
func (h *Hub) restoreLocked(st *joiner) bool {
	r, j := st.room, st.join
	switch {
	case st.joining != j:
		return true
	case !st.entered:
		return false
	}
	st.joining = nil
	if j.restart || j.lost {
		st.sess.Close(wire.Close{Code: wire.CloseTryAgainLater, Reason: "unavailable"})
		return true
	}
	st.sess.SendFrames(st.frames(nil, j.held, h.slow(r.name), st.wants))
	return true
}

// read reads what a joining member gets from the log.
func (h *Hub) read(ctx context.Context, name string, since wire.Position) (broker.Page, Joined, error) {
	out := Joined{Room: name, Asked: !since.IsZero()}
	limit := 0
	switch {
	case out.Asked:
		limit = broker.NoLimit
	case !h.keeps(name):
		return broker.Page{}, out, nil // such a room has no position to ask for
	}
	page, err := h.broker.History(ctx, name, since, limit)
	var refused *broker.InsufficientStateError
	switch {
	case errors.As(err, &refused):
		out.Reason = refused.Reason
		page.Publications = nil
	case err != nil:
		return page, out, err
	case out.Asked:
		out.Recovered = true
	}
	bytes := 0
	for _, p := range page.Publications {
		bytes += size(p)
	}
	if bytes > h.cfg.CatchUpBytes {
		page.Publications, out.Recovered, out.Reason = nil, false, reasonFar
	}
	if !out.Recovered {
		since = page.Top
	}
	out.Position, out.top = since, page.Top
	return page, out, nil
}

// settle ends a join: it queues everything in order and lets the member take
// part. False when the log must be read again.
func (h *Hub) settle(st *joiner, page broker.Page, out Joined, reply func(Joined) wire.Event) (done bool, err error) {
	r := st.room
	r.mu.Lock()
	defer r.mu.Unlock()
	j := st.join
	switch {
	case st.index < 0:
		return true, overtaken(st.sess)
	case st.joining != j:
		return true, nil // another join has taken the place of this one
	case j.restart:
		*j = joining{lost: true, news: j.news}
		return false, nil
	}
	entered, slow := st.entered, h.slow(r.name)
	frames := make([]*wire.Frame, 0, 1+len(page.Publications)+len(j.held))
	st.joining, st.entered, st.epoch, st.from, st.quiet = nil, true, out.top.Epoch, out.top.Offset, len(j.held) == 0
	if h.presence(r.name) {
		out.Members = membersLocked(r, out.elsewhere, j.news)
	}
	h.countJoin(out)
	frames = append(frames, st.sess.Codec().Event(inStream(r.name, reply(out))))
	frames = st.frames(frames, page.Publications, slow, nil)
	frames = st.frames(frames, j.held, slow, st.wants)
	st.sess.Entered(wire.Place{Room: r.name, Position: out.Position})
	st.sess.SendFrames(frames)
	if !entered {
		h.enteredLocked(r, st.seat)
	}
	return true, nil
}

// overtaken is what a join comes to whose seat was taken away meanwhile: by the
// session's end, of which there is nothing to say, or by a backend.
func overtaken(s *session.Session) error {
	if s.Gone() {
		return nil
	}
	return errOvertaken
}

// inStream marks an event that says where a room's stream goes on.
func inStream(room string, e wire.Event) wire.Event {
	e.Room = room
	return e
}

// frames appends what a member gets of publications: those that pass (nil:
// all do), and not its own without echo.
func (s *seat) frames(
	to []*wire.Frame, pubs []*wire.Publication, slow wire.SlowPolicy, pass func(*wire.Publication) bool,
) []*wire.Frame {
	for _, p := range pubs {
		if p.Origin == s.sess.ID() {
			acknowledge(s.sess, p) // before its copy is queued
		}
		if !p.Spares(s.sess.ID()) && (pass == nil || pass(p)) {
			to = append(to, encode(s.sess.Codec(), p, slow))
		}
	}
	return to
}

func (h *Hub) countJoin(out Joined) {
	switch {
	case out.Recovered:
		h.recovered.Add(1)
	case out.Asked:
		h.refusals.Add(1)
	}
}
