//go:build linux

package bench

import (
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/check"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

// mixedApp has each connection of its loop in several rooms, publishes into the
// rooms whose first member is on this loop, and lets others come and go, or
// leave a room and join it again.
type mixedApp struct {
	run   *mixed
	cl    *client
	known parsedMemory
	peers []mixedPeer // by slot
	seats []seat      // by slot and membership
	pubs  []roomPublisher
	pace  pacer
	moves mover
	base  int64 // ids of publish requests are intended times, counted from here
	on    bool
	buf   []byte
	text  []byte

	delivery, acks, late, come, join meter
	delivered, sent, done            int64 // since the last tick
	tally                            check.Tally
	gaps, foreign, wrong, refused    uint64
	displaced                        uint64 // whose offset is not the one that follows from the publisher's sequence
}

// mixedPeer is one connection.
type mixedPeer struct {
	began  int64 // when it was dialled again, or asked to join a room again; 0: it was not
	joined int32 // its memberships
}

// seatState is how far a membership is.
type seatState uint8

const (
	out      seatState = iota
	entering           // the request was sent
	in
	leaving // still a member until the reply
)

// seat is one membership.
type seat struct {
	state seatState
	blind bool // the room has no offsets: where the member begins shows in its first message
	seq   check.Sequence
}

// roomPublisher is the first member of a room.
type roomPublisher struct {
	slot int32
	room int32
	asks asks
	off  bool // refused
}

func newMixedApp(run *mixed, cl *client) *mixedApp {
	conns := cl.l.Conns()
	a := &mixedApp{
		run: run, cl: cl, known: newParsedMemory(), peers: make([]mixedPeer, len(conns)),
		seats: make([]seat, len(conns)*cl.f.opts.Memberships),
	}
	for i := range conns {
		if n := int(conns[i].Index); n < len(run.rooms) {
			a.pubs = append(a.pubs, roomPublisher{slot: conns[i].Slot, room: conns[i].Index})
		} else {
			a.moves.add(conns[i].Slot, n >= cl.f.opts.Conns-cl.f.opts.Moving)
		}
	}
	return a
}

// seat is a connection's k-th membership.
func (a *mixedApp) seat(c *engine.Conn, k int) *seat {
	return &a.seats[int(c.Slot)*a.cl.f.opts.Memberships+k]
}

// membership is which of a connection's memberships is the one in a room, -1
// for none.
func (a *mixedApp) membership(c *engine.Conn, room int) int {
	k := (room - int(c.Index)%len(a.run.rooms) + len(a.run.rooms)) % len(a.run.rooms)
	if k >= a.cl.f.opts.Memberships {
		return -1
	}
	return k
}

// ready joins all rooms at once.
func (a *mixedApp) ready(c *engine.Conn, _ uint64) {
	a.peers[c.Slot].joined = 0
	for k := range a.cl.f.opts.Memberships {
		a.joinRoom(c, k)
	}
}

func (a *mixedApp) joinRoom(c *engine.Conn, k int) {
	*a.seat(c, k) = seat{state: entering}
	a.buf = gwproto.AppendJoin(a.cl.dialect, a.buf[:0], joinID+uint64(k), a.run.room(c.Index, k), nil) //nolint:gosec // small
	a.cl.l.SendText(c, a.buf)
}

// message is the hot path.
func (a *mixedApp) message(c *engine.Conn, payload []byte, now int64) {
	p, known := a.known.find(payload)
	if known {
		a.deliver(c, p, now)
		return
	}
	var e gwproto.Envelope
	if !a.cl.dialect.Scan(payload, &e) {
		a.foreign++
		return
	}
	if string(e.Event) != gwproto.Event {
		a.reply(c, &e, now)
	} else if a.publication(p, &e) {
		p.msg = append(p.msg[:0], payload...)
		a.deliver(c, p, now)
	}
}

// reply handles everything but publications.
func (a *mixedApp) reply(c *engine.Conn, e *gwproto.Envelope, now int64) {
	switch string(e.Event) {
	case "room_joined":
		a.joined(c, e, now)
	case "room_left":
		a.left(c, e, now)
	case "published":
		a.published(c, e, now)
	case "error":
		a.refuse(c, e)
	case "gap":
		a.gaps++
	}
}

func (a *mixedApp) refuse(c *engine.Conn, e *gwproto.Envelope) {
	a.refused++
	a.cl.f.fault(clip(e.Data))
	for i := range a.pubs {
		if a.pubs[i].slot == c.Slot {
			a.pubs[i].off = true
		}
	}
}

// publication takes one apart; false if it is none of ours.
func (a *mixedApp) publication(p *parsedMessage, e *gwproto.Envelope) (ok bool) {
	p.msg = p.msg[:0]
	if p.body, ok = gwproto.ScanBody(e.Data); ok {
		p.room, ok = a.run.roomNumber(e.Room)
	}
	if !ok || p.body.Stream != uint64(p.room) { //nolint:gosec // not negative
		a.foreign++
		return false
	}
	p.offset, p.hasOffset = e.Offset, e.HasOffset
	return true
}

// deliver checks one delivery.
func (a *mixedApp) deliver(c *engine.Conn, p *parsedMessage, now int64) {
	k := a.membership(c, p.room)
	if k < 0 || a.seat(c, k).state < in {
		a.foreign++
		return
	}
	s := a.seat(c, k)
	if s.blind {
		s.blind, s.seq = false, check.From(p.body.Seq-1)
	}
	if p.hasOffset && p.offset-a.run.rooms[p.room].base.Load() != p.body.Seq {
		a.displaced++
	}
	v := s.seq.Observe(p.body.Seq)
	a.tally.Count(v)
	if v != check.Duplicate {
		a.delivered++
		a.delivery.record(now - p.body.Sent)
	}
}

// joined begins a membership where the room stood.
func (a *mixedApp) joined(c *engine.Conn, e *gwproto.Envelope, now int64) {
	id, _ := gwproto.Uint(e.ID)
	k := int(id) - joinID //nolint:gosec // checked
	if k < 0 || k >= a.cl.f.opts.Memberships || a.seat(c, k).state != entering {
		return // the user's own room, of which nothing was asked
	}
	s, p := a.seat(c, k), &a.peers[c.Slot]
	n := (int(c.Index) + k) % len(a.run.rooms)
	r := &a.run.rooms[n]
	offset, keeps := gwproto.Uint(gwproto.Field(e.Data, "offset"))
	if k == 0 && n == int(c.Index) {
		r.base.Store(offset) // its publisher: nothing was published before it came
	}
	s.state = in
	if a.run.begun.Load() {
		s.seq, s.blind = check.From(offset-r.base.Load()), !keeps
	}
	if p.joined++; int(p.joined) < a.cl.f.opts.Memberships {
		return
	}
	a.run.complete.Add(1)
	if p.began != 0 {
		a.moves.arrived(a, c, now-p.began)
		p.began = 0
	}
}

// closed ends the memberships, and dials again who was meant to come back.
func (a *mixedApp) closed(c *engine.Conn, why engine.Closure) {
	p := &a.peers[c.Slot]
	if int(p.joined) == a.cl.f.opts.Memberships {
		a.run.complete.Add(-1)
	}
	p.joined = 0
	if a.moves.over {
		return // counted by finish
	}
	for k := range a.cl.f.opts.Memberships {
		a.endSeat(a.seat(c, k))
	}
	if why.Ours {
		a.moves.gone(c)
	}
}

// endSeat counts what is missing in front of the last that came.
func (a *mixedApp) endSeat(s *seat) {
	a.tally.Lost += s.seq.Missing(s.seq.Last())
	*s = seat{}
}

func (a *mixedApp) published(c *engine.Conn, e *gwproto.Envelope, now int64) {
	id, _ := gwproto.Uint(e.ID)
	for i := range a.pubs {
		p := &a.pubs[i]
		if p.slot != c.Slot {
			continue
		}
		if !p.asks.answer(id) {
			break
		}
		a.done++
		a.acks.record(now - a.base - int64(id)) //nolint:gosec // our own id
		return
	}
	a.wrong++
}

// tick publishes and moves what is due.
func (a *mixedApp) tick(now int64) (next int64) {
	a.count(now)
	next = a.moves.tick(a, now)
	if !a.on || len(a.pubs) == 0 {
		return next
	}
	if a.pace.every > 0 {
		return earliest(a.onTime(now), next)
	}
	return earliest(a.atOnce(now), next)
}

// pollAgain is how soon a loop looks again at what other loops have received.
const pollAgain = int64(100 * time.Microsecond)
