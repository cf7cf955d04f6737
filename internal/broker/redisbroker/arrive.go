package redisbroker

import (
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Reasons of gaps, safe for clients.
const (
	reasonEpoch    = "epoch_changed"
	reasonLost     = "history_lost"
	reasonOverflow = "overflow"
)

// arrive takes what came over a link for a room's channel. It never waits.
func (b *Broker) arrive(l *link, name, payload []byte) {
	r := b.arrived(name)
	if r == nil {
		return // nobody wants it any more
	}
	m, err := roomlog.Decode(r.name, payload)
	if err != nil {
		b.count.malformed.Add(1)
		return // its offset is missed by what comes next
	}
	if m.Kind == roomlog.Notice {
		b.notice(r.name, m.Payload)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone || r.link != l {
		return
	}
	r.active = true
	switch m.Kind {
	case roomlog.Published:
		r.take(arrival{m.Pub, m.Prev})
	case roomlog.EpochEnded:
		r.ended(m.Top)
	}
}

// take hands a publication on, or puts it aside until the log has been read.
// Guarded by mu.
func (r *room) take(a arrival) {
	if r.behind {
		r.stow(a)
		return
	}
	if r.overflows(publicationCost(a.pub)) {
		r.overflow(a)
		return
	}
	switch r.judge(a) {
	case deliver:
		if !r.b.mutation.dropsArrival() {
			r.enqueue(item{pub: a.pub})
		}
	case look:
		r.b.count.holes.Add(1)
		r.fallBehind()
		r.stow(a)
	}
}

func (r *room) judge(a arrival) step {
	return r.b.mutation.judge(&r.cursor, a, r.cursor.judge(a.pub, a.prev))
}

// overflow leaves out a publication that there is no space for: it will be read
// from the log. Guarded by mu.
func (r *room) overflow(a arrival) {
	r.b.count.overflows.Add(1)
	pos := a.pub.Position
	if pos.Offset == 0 {
		r.overflowGap()
		return
	}
	if !r.cursor.known {
		r.cursor.begin(wire.Position{Epoch: pos.Epoch, Offset: pos.Offset - 1, Nonce: a.prev})
	}
	r.fallBehind()
	r.missed = true
}

// overflowGap says that publications are lost which no log holds, once for all
// that follow another. Where there are no entries it leads to no position.
// Guarded by mu.
func (r *room) overflowGap() {
	if n := r.queue.Len(); n > 0 {
		if last := r.queue.At(n - 1).ctl; last != nil && last.mark == nil && last.gap.Reason == reasonOverflow {
			return
		}
	}
	gap := wire.Gap{Reason: reasonOverflow}
	if r.cursor.at.Offset > 0 {
		gap.Top = r.cursor.at
	}
	r.tell(gap)
}

// ended takes the news that the log is continued in another epoch. Guarded by
// mu.
func (r *room) ended(top wire.Position) {
	if !r.cursor.known || top.Epoch == r.cursor.at.Epoch {
		return
	}
	r.hint = top
	r.fallBehind()
	r.missed = true
}

// fallBehind makes the room read its log from its cursor, which is known.
// Guarded by mu.
func (r *room) fallBehind() {
	if r.behind {
		return
	}
	r.behind, r.tries = true, 0
	r.b.behind.Push(r)
}

// notice hands on what an instance says of a room.
func (b *Broker) notice(name string, payload []byte) {
	b.count.notices.Add(1)
	if name[0] == controlPrefix {
		if b.listener != nil {
			b.listener.Notice(name, payload)
		}
		return
	}
	if b.noticed != nil {
		b.noticed.Notice(name, payload)
	}
}
