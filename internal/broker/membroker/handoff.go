package membroker

import (
	"context"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// full tells whether a publication of this cost has to wait, and for what.
// One that finds nothing before it never waits, however large. Guarded by mu.
func (s *shard) full(r *room, cost int64) (verdict, bool) {
	if r != nil && r.pending > 0 && r.pending+cost > int64(s.b.cfg.HandoffBytes) {
		if r.wait == nil {
			r.wait = make(chan struct{})
		}
		s.count.waits++
		return verdict{room: r.wait}, true
	}
	if s.b.crowded(cost) {
		s.count.waits++
		return verdict{crowd: true}, true
	}
	return verdict{}, false
}

// crowded tells whether the hand-off of the whole process is full.
func (b *Broker) crowded(cost int64) bool {
	waiting := b.waiting.Load()
	return waiting > 0 && waiting+cost > b.handoffLimit
}

// enqueue appends to the room's hand-off and schedules the room. Guarded by mu.
func (s *shard) enqueue(r *room, it item) {
	if r.queue.Cap() == 0 {
		if n := len(s.spareQueues); n > 0 {
			r.queue.Lend(s.spareQueues[n-1])
			s.spareQueues[n-1] = nil
			s.spareQueues = s.spareQueues[:n-1]
		}
	}
	r.queue.Push(it)
	cost := it.cost()
	r.pending += cost
	s.b.waiting.Add(cost)
	if !r.scheduled {
		r.scheduled = true
		s.b.ready.Push(r)
	}
}

// serve hands rooms' queues to the Sink until the run queue closes.
func (b *Broker) serve() {
	defer b.exited()
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
	s, name := r.home, r.name // the room is scheduled, so it stays in its shard
	s.mu.Lock()
	batch, ctl, cost := r.take(batch)
	s.mu.Unlock()

	switch {
	case ctl == nil:
		b.sink.Deliver(name, batch)
		clear(batch)
	case ctl.mark == nil:
		b.sink.Gap(name, ctl.gap)
	}

	s.mu.Lock()
	s.count.delivered += uint64(len(batch))
	r.pending -= cost
	left := b.waiting.Add(-cost)
	if r.wait != nil && r.pending <= int64(b.cfg.HandoffBytes)/2 {
		close(r.wait)
		r.wait = nil
	}
	if r.queue.Len() > 0 {
		b.ready.Push(r)
	} else {
		r.scheduled = false
		s.release(r)
	}
	s.mu.Unlock()
	if left <= b.handoffLimit/2 {
		b.crowd.Wake()
	}
	if ctl != nil && ctl.mark != nil {
		ctl.mark.done()
	}
}

// Quiesce returns once everything published before the call has been handed to
// the Sink and the Sink's calls have returned. It returns ctx's error if that
// ends earlier, and Unavailable if Shutdown comes first.
func (b *Broker) Quiesce(ctx context.Context) error {
	mark := &countdown{zero: make(chan struct{})}
	mark.left.Store(1)
	for i := range b.shards {
		b.shards[i].mark(mark)
	}
	mark.done()
	var err error
	select {
	case <-mark.zero:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-b.quit:
		err = unavailable("the broker is shut down")
	}
	if mark.left.Load() == 0 { // both at once: what was asked for is true
		return nil
	}
	return err
}

// mark queues a mark behind everything that waits in the shard.
func (s *shard) mark(c *countdown) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rooms {
		if r.scheduled {
			c.left.Add(1)
			s.enqueue(r, item{ctl: &control{mark: c}})
		}
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
