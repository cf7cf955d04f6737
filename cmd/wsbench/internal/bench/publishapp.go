//go:build linux

package bench

import (
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/check"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

// publishApp has the connections of its loop in groups: one that publishes into
// the group's room, and its subscribers, which follow it by slot. All of a
// group is on one loop.
type publishApp struct {
	run    *publish
	cl     *client
	groups []pubGroup
	subs   []subscriber // by slot; those of publishers are not used
	dirty  []int32      // groups whose window may have opened
	pace   pacer
	on     bool
	base   int64 // ids of publish requests are intended times, counted from here
	buf    []byte
	text   []byte

	delivery, acks, late  meter
	delivered, sent, done int64 // since the last tick; done: acknowledged
	tally, offsets        check.Tally
	gaps, foreign, wrong  uint64
	refused               uint64
}

// pubGroup is a publisher and its room.
type pubGroup struct {
	conn  *engine.Conn
	room  string
	subs  []subscriber
	sent  uint64
	asks  asks // the same publications, where they are acknowledged
	dirty bool
	off   bool // refused
}

// subscriber checks what one connection receives.
type subscriber struct{ seq, offset check.Sequence }

func newPublishApp(run *publish, cl *client) *publishApp {
	conns := cl.l.Conns()
	a := &publishApp{run: run, cl: cl, subs: make([]subscriber, len(conns))}
	size := 1 + cl.f.opts.Subscribers
	for at := 0; at+1 < len(conns); at += size { // the last group may be smaller
		g := pubGroup{conn: &conns[at], room: cl.f.opts.publishRoom(conns[at].Index), subs: a.subs[at+1 : min(at+size, len(conns))]}
		a.groups = append(a.groups, g)
	}
	return a
}

func (a *publishApp) ready(c *engine.Conn, offset uint64) {
	a.subs[c.Slot].offset = check.From(offset)
}

func (a *publishApp) closed(*engine.Conn, engine.Closure) {}

func (a *publishApp) start(now int64) {
	a.on, a.base = true, now-publishIDs
	if rate := a.cl.f.opts.Rate; rate > 0 {
		a.pace = newPacer(now, rate*float64(len(a.groups))/float64(a.run.publishers))
		return
	}
	for i := range a.groups {
		a.mark(i)
	}
}

func (a *publishApp) measure(on bool) {
	a.delivery.set(on)
	a.acks.set(on)
	a.late.set(on)
}

// open is how many publications have not come to every subscriber, or not been
// acknowledged where they should be.
func (a *publishApp) open(g *pubGroup) uint64 {
	low := g.sent
	for i := range g.subs {
		low = min(low, g.subs[i].seq.Last())
	}
	if a.run.acked {
		low = min(low, g.asks.answered)
	}
	return g.sent - low
}

// complete reports whether nothing is on its way any more.
func (a *publishApp) complete() bool {
	for i := range a.groups {
		if g := &a.groups[i]; !g.off && a.open(g) > 0 {
			return false
		}
	}
	return true
}

// add appends one publication that was meant for the given time.
func (a *publishApp) add(g *pubGroup, intended, now int64) {
	g.sent++
	a.sent++
	id := uint64(0)
	if a.run.acked {
		id = g.asks.next(intended - a.base)
	}
	p := gwproto.Publish{Room: g.room, NoEcho: true, Body: gwproto.Body{Seq: g.sent, Sent: intended}, Size: a.cl.f.opts.Size}
	a.text = gwproto.AppendPublish(a.cl.dialect, a.text[:0], id, &p)
	a.buf = frame.AppendMasked(a.buf, frame.Text, a.text, a.cl.l.Mask())
	a.late.record(now - intended)
}

func (a *publishApp) flush(g *pubGroup) {
	if len(a.buf) > 0 && g.conn.IsOpen() {
		a.cl.l.Write(g.conn, a.buf)
	}
	a.buf = a.buf[:0]
}

func (a *publishApp) mark(group int) {
	if g := &a.groups[group]; !g.dirty {
		g.dirty = true
		a.dirty = append(a.dirty, int32(group)) //nolint:gosec // small
	}
}

// tick publishes what the windows, or the schedule, allow.
func (a *publishApp) tick(now int64) (next int64) {
	a.count(now)
	switch {
	case !a.on || len(a.groups) == 0:
		return 0
	case a.pace.every > 0:
		return a.onTime(now)
	}
	window := uint64(a.cl.f.opts.Pipeline) //nolint:gosec // at least 1
	for _, i := range a.dirty {
		g := &a.groups[i]
		g.dirty = false
		free := window - min(a.open(g), window)
		if g.off || free < max(window/8, 1) || a.cl.l.Pending(g.conn) > 0 {
			continue // what opens the window marks the group again
		}
		for range free {
			a.add(g, now, now)
		}
		a.flush(g)
	}
	a.dirty = a.dirty[:0]
	return 0
}

// heldBack is how many bytes a publisher's socket may leave to us before it is
// given no more.
const heldBack = 1 << 20

// onTime publishes what is due, -pipeline publications in a row by the same
// publisher. What a full socket holds back keeps its intended time.
func (a *publishApp) onTime(now int64) (next int64) {
	var g *pubGroup
	for a.pace.next() <= now {
		turn := a.pace.n / int64(a.cl.f.opts.Pipeline) % int64(len(a.groups))
		if at := &a.groups[turn]; at != g {
			if g != nil {
				a.flush(g)
			}
			g = at
		}
		if a.cl.l.Pending(g.conn) > heldBack {
			return now + int64(time.Millisecond)
		}
		if !g.off {
			a.add(g, a.pace.next(), now)
		}
		a.pace.n++
	}
	if g != nil {
		a.flush(g)
	}
	return max(a.pace.next(), now+int64(50*time.Microsecond))
}

// count makes this batch's progress known.
func (a *publishApp) count(now int64) {
	if a.delivered+a.sent+a.done > 0 {
		a.cl.f.messages.Add(a.delivered)
		a.run.sent.Add(a.sent)
		a.run.answered.Add(a.done)
		a.delivered, a.sent, a.done = 0, 0, 0
	}
	a.delivery.tick(now, a.cl.f)
	a.acks.flushIfDue(now)
	a.late.flushIfDue(now)
}

func (a *publishApp) message(c *engine.Conn, payload []byte, now int64) {
	var e gwproto.Envelope
	if !a.cl.dialect.Scan(payload, &e) {
		a.foreign++
		return
	}
	group := int(c.Slot) / (1 + a.cl.f.opts.Subscribers)
	if group >= len(a.groups) {
		a.foreign++
		return
	}
	switch string(e.Event) {
	case gwproto.Event:
		a.publication(c, group, &e, now)
	case "published":
		a.published(c, group, &e, now)
	case "error":
		a.refused++
		a.groups[group].off = true
		a.cl.f.fault(clip(e.Data))
	case "gap":
		a.gaps++
	}
}

func (a *publishApp) publication(c *engine.Conn, group int, e *gwproto.Envelope, now int64) {
	g := &a.groups[group]
	b, ok := gwproto.ScanBody(e.Data)
	if !ok || c == g.conn || string(e.Room) != g.room {
		a.foreign++
		return
	}
	s := &a.subs[c.Slot]
	if e.HasOffset {
		a.offsets.Count(s.offset.Observe(e.Offset))
	}
	v := s.seq.Observe(b.Seq)
	a.tally.Count(v)
	if v == check.Duplicate {
		return
	}
	a.delivered++
	a.delivery.record(now - b.Sent)
	a.mark(group)
}

// published checks that acknowledgements come in order, one for each request.
func (a *publishApp) published(c *engine.Conn, group int, e *gwproto.Envelope, now int64) {
	g := &a.groups[group]
	id, ok := gwproto.Uint(e.ID)
	if !ok || c != g.conn || !g.asks.answer(id) {
		a.wrong++
		return
	}
	a.done++
	a.acks.record(now - a.base - int64(id)) //nolint:gosec // our own id
	a.mark(group)
}

// finish counts what never came, after the loop has ended.
func (a *publishApp) finish() {
	for i := range a.groups {
		g := &a.groups[i]
		for k := range g.subs {
			s := &g.subs[k]
			a.tally.Lost += s.seq.Missing(g.sent)
			a.offsets.Lost += s.offset.Missing(s.offset.Last())
		}
		a.wrong += g.asks.wrong()
	}
}
