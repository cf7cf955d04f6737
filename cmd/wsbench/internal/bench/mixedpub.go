//go:build linux

package bench

import (
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

// start begins to publish, and to move connections.
func (a *mixedApp) start(now int64) {
	o := a.cl.f.opts
	a.on, a.base = true, now-publishIDs
	if o.Rate > 0 && len(a.pubs) > 0 {
		a.pace = newPacer(now, o.Rate*float64(len(a.pubs))/float64(len(a.run.rooms)))
	}
	a.moves.start(now, o)
}

func (a *mixedApp) measure(on bool) {
	for _, m := range a.meters() {
		m.set(on)
	}
}

func (a *mixedApp) meters() []*meter {
	return []*meter{&a.delivery, &a.acks, &a.late, &a.come, &a.join}
}

// onTime publishes what is due, room by room in turn. What a full socket holds
// back keeps its intended time.
func (a *mixedApp) onTime(now int64) (next int64) {
	for a.pace.next() <= now {
		p := &a.pubs[a.pace.n%int64(len(a.pubs))]
		if a.cl.l.Pending(&a.cl.l.Conns()[p.slot]) > heldBack {
			return now + int64(time.Millisecond)
		}
		if !p.off {
			a.buf = a.buf[:0]
			a.add(p, a.pace.next(), now)
			a.flush(p)
		}
		a.pace.n++
	}
	return max(a.pace.next(), now+int64(50*time.Microsecond))
}

// atOnce publishes what the windows allow: publications of a room that are not
// acknowledged, and deliveries that all rooms together are owed.
func (a *mixedApp) atOnce(now int64) (next int64) {
	window := uint64(a.cl.f.opts.Window) //nolint:gosec // not negative
	limit := int64(a.cl.f.opts.Window * a.cl.f.opts.Memberships * a.cl.f.opts.Conns)
	for i := range a.pubs {
		p := &a.pubs[i]
		free := window - min(p.asks.open(), window)
		if p.off || free < max(window/8, 1) || a.cl.l.Pending(&a.cl.l.Conns()[p.slot]) > 0 {
			continue
		}
		if a.run.owed.Load() > limit {
			return now + pollAgain
		}
		a.buf = a.buf[:0]
		for range free {
			a.add(p, now, now)
		}
		a.run.owed.Add(int64(free) * int64(a.run.members(p.room))) //nolint:gosec // small
		a.flush(p)
	}
	return 0
}

// add appends one publication that was meant for the given time.
func (a *mixedApp) add(p *roomPublisher, intended, now int64) {
	id := p.asks.next(intended - a.base)
	a.sent++
	pub := gwproto.Publish{
		Room: a.run.room(p.room, 0), Size: a.cl.f.opts.Size,
		Body: gwproto.Body{Stream: uint64(p.room), Seq: p.asks.sent, Sent: intended}, //nolint:gosec // not negative
	}
	a.text = gwproto.AppendPublish(a.cl.dialect, a.text[:0], id, &pub)
	a.buf = frame.AppendMasked(a.buf, frame.Text, a.text, a.cl.l.Mask())
	a.late.record(now - intended)
	a.run.rooms[p.room].sent.Store(p.asks.sent)
}

func (a *mixedApp) flush(p *roomPublisher) {
	if c := &a.cl.l.Conns()[p.slot]; c.IsOpen() {
		a.cl.l.Write(c, a.buf)
	}
}

// count makes this batch's progress known.
func (a *mixedApp) count(now int64) {
	if a.delivered+a.sent+a.done > 0 {
		a.cl.f.messages.Add(a.delivered)
		a.run.owed.Add(-a.delivered)
		a.run.sent.Add(a.sent)
		a.run.answered.Add(a.done)
		a.delivered, a.sent, a.done = 0, 0, 0
	}
	a.delivery.tick(now, a.cl.f)
	for _, m := range a.meters()[1:] {
		m.flushIfDue(now)
	}
}

// settled reports whether nothing is on its way any more: all connections are
// up, in all their rooms, and have everything.
func (a *mixedApp) settled() bool {
	for i := range a.pubs {
		if !a.pubs[i].off && a.pubs[i].asks.open() > 0 {
			return false
		}
	}
	conns := a.cl.l.Conns()
	for i := range conns {
		for k := range a.cl.f.opts.Memberships {
			s := a.seat(&conns[i], k)
			if s.state != in || !s.blind && s.seq.Last() < a.run.sentTo(conns[i].Index, k) {
				return false
			}
		}
	}
	return true
}

// finish counts what never came; what is closed from now on is closed for good.
func (a *mixedApp) finish() {
	a.moves.over = true
	conns := a.cl.l.Conns()
	for i := range conns {
		for k := range a.cl.f.opts.Memberships {
			if s := a.seat(&conns[i], k); s.state >= in && !s.blind {
				a.tally.Lost += s.seq.Missing(a.run.sentTo(conns[i].Index, k))
			}
		}
	}
	for i := range a.pubs {
		a.wrong += a.pubs[i].asks.wrong()
	}
}
