package membroker

import (
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/handoff"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// The constants of the accounting in doc.go.
const (
	entryCost   = 256 // the Publication, its slots in queues, rounding by the allocator
	roomCost    = 384 // the room, its slots in map, list and slice
	keyCost     = 192 // a key's record, its slots in map and queue
	controlCost = 512 // a Gap or a Quiesce mark in a hand-off queue
	exceptCost  = 80  // the id of a connection that a publication leaves out
)

// publicationCost is what a publication counts in the log and in the hand-off.
func publicationCost(p *wire.Publication) int64 {
	return int64(entryCost + len(p.Event) + len(p.Data) + len(p.Publisher) + len(p.Origin) +
		len(p.IdempotencyKey) + len(p.ConflateKey) + exceptCost*len(p.Except))
}

// room is what the broker holds of one room, for as long as it has history or
// something waits for the Sink.
type room struct {
	// Immutable while the room is in its shard.
	name string
	hash uint64
	home *shard

	// History. Guarded by home.mu; zero unless kept.
	kept      bool
	epoch     uint64
	log       logbook
	retention broker.Retention // of the latest publish
	charged   int64            // what the room counts in the budget
	used      int64            // Broker.since of the latest publish or read
	newer     *room            // neighbours in the shard's order of use
	older     *room
	place     int // index in home.kept

	// Hand-off. Guarded by home.mu.
	queue     handoff.Ring[item]
	pending   int64         // cost of what is queued or under delivery
	scheduled bool          // on the run queue or with a worker
	wait      chan struct{} // closed when there is space again; nil without waiters
}

// item is one thing to hand over: a publication, or a control.
type item struct {
	pub *wire.Publication
	ctl *control
}

// control is a Gap, or the mark of a Quiesce that waits for its turn.
type control struct {
	gap  wire.Gap
	mark *countdown // nil for a Gap
}

func (i item) cost() int64 {
	if i.pub != nil {
		return publicationCost(i.pub)
	}
	return controlCost
}

// top is the position of the room's newest entry. Guarded by home.mu.
func (r *room) top() wire.Position {
	t := r.log.top()
	return wire.Position{Epoch: r.epoch, Offset: t.offset, Nonce: t.nonce}
}

// cost is what a kept room counts in the budget. Guarded by home.mu.
func (r *room) cost() int64 {
	return roomCost + int64(len(r.name)) + r.log.bytes + entrySlot*int64(r.log.ring.Cap())
}

// take moves the next things to hand over out of the queue: publications into
// batch as far as it has capacity, or one control. Guarded by home.mu.
func (r *room) take(batch []*wire.Publication) ([]*wire.Publication, *control, int64) {
	if first := *r.queue.At(0); first.ctl != nil {
		r.queue.Pop()
		return batch, first.ctl, controlCost
	}
	var cost int64
	for r.queue.Len() > 0 && len(batch) < cap(batch) && r.queue.At(0).ctl == nil {
		next := r.queue.Pop()
		cost += next.cost()
		batch = append(batch, next.pub)
	}
	return batch, nil, cost
}
