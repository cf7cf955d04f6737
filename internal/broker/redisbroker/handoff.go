package redisbroker

import (
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	entryCost   = 256 // the Publication, its slots in queues, rounding by the allocator
	exceptCost  = 80  // the id of a connection that a publication leaves out
	controlCost = 512 // a Gap or the mark of a Quiesce
	spareQueue  = 64  // slots of a queue's buffer worth keeping
)

// publicationCost is what a publication counts in the hand-off.
func publicationCost(p *wire.Publication) int64 {
	return int64(entryCost + len(p.Event) + len(p.Data) + len(p.Publisher) + len(p.Origin) +
		len(p.ConflateKey) + exceptCost*len(p.Except))
}

// item is one thing to hand over: a publication, or a control.
type item struct {
	pub   *wire.Publication
	await *durability // of pub, while its publish is under way here; else nil
	ctl   *control
}

// control is a Gap, or the mark of a Quiesce that waits for its turn.
type control struct {
	gap  wire.Gap
	mark *countdown // nil for a Gap
}

func (i *item) cost() int64 {
	if i.pub != nil {
		return publicationCost(i.pub)
	}
	return controlCost
}

// overflows tells whether a publication of this cost is too much even for a
// hand-off whose publishers wait. Guarded by mu.
func (r *room) overflows(cost int64) bool {
	return r.pending > 0 && (r.pending+cost > 2*int64(r.b.cfg.HandoffBytes) || r.b.overfull(cost))
}

// overfull is overflows for all rooms together.
func (b *Broker) overfull(cost int64) bool {
	waiting := b.waiting.Load()
	return waiting > 0 && waiting+cost > 2*b.cfg.HandoffTotal
}

// roomy tells whether the hand-off takes more from the log. Guarded by mu.
func (r *room) roomy() bool {
	return r.pending < int64(r.b.cfg.HandoffBytes) && (r.pending == 0 || r.b.waiting.Load() < r.b.cfg.HandoffTotal)
}

// spend changes what waits in the whole process.
func (b *Broker) spend(cost int64) {
	if left := b.waiting.Add(cost); cost < 0 && left <= b.cfg.HandoffTotal/2 {
		b.crowd.Wake()
	}
}

// enqueue appends to the room's hand-off. Guarded by mu.
func (r *room) enqueue(it item) {
	if it.pub != nil {
		it.await = r.b.durable.find(it.pub.Position.Nonce)
	}
	r.queue.Push(it)
	cost := it.cost()
	r.pending += cost
	r.b.waiting.Add(cost)
	r.schedule()
}

// schedule puts the room on the run queue unless it is there, or is held.
// Guarded by mu.
func (r *room) schedule() {
	if !r.scheduled && !r.held && r.queue.Len() > 0 {
		r.scheduled = true
		r.b.ready.Push(r)
	}
}

// tell queues a Gap. Those of other epochs that still wait lead where it does
// from now on: whoever has read the log since is in that epoch, and must not be
// taken back to an earlier one. Guarded by mu.
func (r *room) tell(gap wire.Gap) {
	for i := range r.queue.Len() {
		ctl := r.queue.At(i).ctl
		if ctl != nil && ctl.mark == nil && ctl.gap.Top.Epoch != gap.Top.Epoch && gap.Reason != reasonOverflow {
			ctl.gap.Top = gap.Top
		}
	}
	r.b.count.gaps.Add(1)
	r.enqueue(item{ctl: &control{gap: gap}})
}

// serve hands rooms' queues to the Sink until the run queue closes.
func (b *Broker) serve() {
	batch := make([]*wire.Publication, 0, b.cfg.Batch)
	for {
		r, ok := b.ready.Pop()
		if !ok {
			return
		}
		b.turn(r, batch)
	}
}

// turn hands over the next batch of a room, and puts the room back at the end
// of the run queue if it has more. batch is empty and lends its space.
func (b *Broker) turn(r *room, batch []*wire.Publication) {
	r.mu.Lock()
	batch, ctl, cost := r.next(batch)
	r.mu.Unlock()

	switch {
	case len(batch) > 0:
		b.sink.Deliver(r.name, batch)
		b.count.delivered.Add(uint64(len(batch)))
		clear(batch)
	case ctl != nil && ctl.mark == nil:
		b.sink.Gap(r.name, ctl.gap)
	}
	b.turned(r, cost)
	if ctl != nil && ctl.mark != nil {
		ctl.mark.done()
	}
}

// turned is what follows a call of the Sink.
func (b *Broker) turned(r *room, cost int64) {
	r.mu.Lock()
	r.pending -= cost
	if r.pending <= int64(b.cfg.HandoffBytes)/2 {
		r.release()
		if r.parked {
			r.parked = false
			b.behind.Push(r)
		}
	}
	r.scheduled = false
	r.schedule()
	idle := r.queue.Len() == 0
	if idle && r.queue.Cap() > spareQueue {
		r.queue.Compact()
	}
	local := idle && r.link == nil && !r.wanted
	r.mu.Unlock()
	b.spend(-cost)
	if local {
		b.retire(r)
	}
}

// release lets publishers go who wait for the room's hand-off. Guarded by mu.
func (r *room) release() {
	if r.space != nil {
		close(r.space)
		r.space = nil
	}
}

// next moves the next things to hand over out of the queue: publications into
// batch as far as it has capacity, or one control. Neither when the first one's
// durability is not known yet: then the room is held. Guarded by mu.
func (r *room) next(batch []*wire.Publication) ([]*wire.Publication, *control, int64) {
	if first := r.queue.At(0); first.ctl != nil {
		ctl := r.queue.Pop().ctl
		return batch, ctl, controlCost
	}
	var cost int64
	for r.queue.Len() > 0 && len(batch) < cap(batch) {
		it := r.queue.At(0)
		if it.ctl != nil || it.await.undecided() {
			break
		}
		cost += it.cost()
		batch = append(batch, it.await.confirm(it.pub))
		r.queue.Pop()
	}
	r.held = len(batch) == 0
	return batch, nil, cost
}

// resume lets a room go on that was held by a durable publish.
func (b *Broker) resume(name string) {
	r := b.find(name)
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held {
		r.held = false
		r.schedule()
	}
}

// countdown closes zero when done was called left times.
type countdown struct {
	left atomic.Int64
	zero chan struct{}
}

func (c *countdown) done() {
	if c.left.Add(-1) == 0 {
		close(c.zero)
	}
}
