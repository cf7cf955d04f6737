//go:build linux

package bench

import (
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

// leaveID is above the ids of joins, which are joinID and following, and below
// those of publications.
const leaveID = publishIDs / 2

// mover lets connections of a loop come and go, and leave rooms and join them
// again, at intended times. Owned by the loop.
type mover struct {
	moving, staying []int32 // slots; staying: those that are no publishers either
	goes, hops      pacer
	due             []int32 // slots to dial again
	on              bool
	over            bool  // nobody comes back any more
	went, hopped    int64 // times
	missed          int64 // times whose turn came before the last one's end
}

func (m *mover) add(slot int32, moving bool) {
	if moving {
		m.moving = append(m.moving, slot)
	} else {
		m.staying = append(m.staying, slot)
	}
}

func (m *mover) start(now int64, o *Options) {
	share := 1 / float64(o.Threads)
	if m.on = true; o.ChurnRate > 0 && len(m.moving) > 0 {
		m.goes = newPacer(now, o.ChurnRate*share)
	}
	if o.HopRate > 0 && len(m.staying) > 0 {
		m.hops = newPacer(now, o.HopRate*share)
	}
}

// tick moves what is due.
func (m *mover) tick(a *mixedApp, now int64) (next int64) {
	conns := a.cl.l.Conns()
	due := m.due
	m.due = nil
	for _, slot := range due {
		a.peers[slot].began = now
		a.cl.l.Redial(&conns[slot], conns[slot].Target())
	}
	if !m.on {
		return 0
	}
	for ; m.goes.every > 0 && m.goes.next() <= now; m.goes.n++ {
		m.leave(a, &conns[m.moving[m.goes.n%int64(len(m.moving))]])
	}
	for ; m.hops.every > 0 && m.hops.next() <= now; m.hops.n++ {
		m.hop(a, &conns[m.staying[m.hops.n%int64(len(m.staying))]])
	}
	for _, p := range []*pacer{&m.goes, &m.hops} {
		if p.every > 0 {
			next = earliest(p.next(), next)
		}
	}
	return next
}

// leave closes a connection that is to come back.
func (m *mover) leave(a *mixedApp, c *engine.Conn) {
	if !c.IsOpen() || int(a.peers[c.Slot].joined) < a.cl.f.opts.Memberships {
		m.missed++
		return
	}
	m.went++
	a.cl.l.Close(c, 1000)
}

// gone follows the end of a connection that we have closed.
func (m *mover) gone(c *engine.Conn) {
	if !m.over {
		m.due = append(m.due, c.Slot)
	}
}

// hop has a member leave its last room; left joins it again.
func (m *mover) hop(a *mixedApp, c *engine.Conn) {
	k := a.cl.f.opts.Memberships - 1
	s := a.seat(c, k)
	if !c.IsOpen() || s.state != in {
		m.missed++
		return
	}
	m.hopped++
	s.state = leaving
	a.buf = gwproto.AppendLeave(a.cl.dialect, a.buf[:0], leaveID, a.run.room(c.Index, k))
	a.cl.l.SendText(c, a.buf)
}

// left ends a membership and asks for it again.
func (a *mixedApp) left(c *engine.Conn, e *gwproto.Envelope, now int64) {
	k := a.cl.f.opts.Memberships - 1
	if id, _ := gwproto.Uint(e.ID); id != leaveID || a.seat(c, k).state != leaving {
		a.foreign++
		return
	}
	a.endSeat(a.seat(c, k))
	a.run.complete.Add(-1)
	p := &a.peers[c.Slot]
	p.joined--
	p.began = now
	a.joinRoom(c, k)
}

// arrived tells how long it took to come back, or to join again.
func (m *mover) arrived(a *mixedApp, c *engine.Conn, took int64) {
	if int(c.Index) >= a.cl.f.opts.Conns-a.cl.f.opts.Moving {
		a.come.record(took)
	} else {
		a.join.record(took)
	}
}
