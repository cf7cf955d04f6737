package membroker

import (
	"context"
	"sync"
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
	if r.queue.buf == nil {
		if n := len(s.spareQueues); n > 0 {
			r.queue.buf = s.spareQueues[n-1]
			s.spareQueues[n-1] = nil
			s.spareQueues = s.spareQueues[:n-1]
		}
	}
	r.queue.push(it)
	cost := it.cost()
	r.pending += cost
	s.b.waiting.Add(cost)
	if !r.scheduled {
		r.scheduled = true
		s.b.ready.push(r)
	}
}

// serve hands rooms' queues to the Sink until the run queue closes.
func (b *Broker) serve() {
	defer b.exited()
	batch := make([]*wire.Publication, 0, b.cfg.Batch)
	for {
		r := b.ready.pop()
		if r == nil {
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
	if r.queue.n > 0 {
		b.ready.push(r)
	} else {
		r.scheduled = false
		s.release(r)
	}
	s.mu.Unlock()
	if left <= b.handoffLimit/2 {
		b.crowd.wake()
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

// runQueue is the queue of rooms with something to hand over, shared by the
// workers.
type runQueue struct {
	mu   sync.Mutex
	cond sync.Cond

	// Guarded by mu.
	first, last *room
	idle        int // workers in pop
	closed      bool
}

// push appends a room that is not in the queue.
func (q *runQueue) push(r *room) {
	q.mu.Lock()
	if q.last != nil {
		q.last.next = r
	} else {
		q.first = r
	}
	q.last = r
	wake := q.idle > 0
	q.mu.Unlock()
	if wake {
		q.cond.Signal()
	}
}

// pop waits for a room; nil when the queue is closed.
func (q *runQueue) pop() *room {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.first == nil && !q.closed {
		q.idle++
		q.cond.Wait()
		q.idle--
	}
	if q.closed {
		return nil
	}
	r := q.first
	q.first, r.next = r.next, nil
	if q.first == nil {
		q.last = nil
	}
	return r
}

func (q *runQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.cond.Broadcast()
}

// throng is where publishers wait for something common to all rooms.
type throng struct {
	waiters atomic.Bool // somebody may be waiting
	mu      sync.Mutex
	gate    chan struct{} // guarded by mu; closed by wake, nil without waiters
}

// wait returns a channel that the next wake closes, or a closed one if pass
// holds by now: a wake may have come before the caller was known to wait.
func (t *throng) wait(pass func() bool) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gate == nil {
		t.gate = make(chan struct{})
		t.waiters.Store(true)
	}
	gate := t.gate
	if pass() {
		close(gate)
		t.gate = nil
		t.waiters.Store(false)
	}
	return gate
}

// wake lets everybody go who waits.
func (t *throng) wake() {
	if !t.waiters.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gate != nil {
		close(t.gate)
		t.gate = nil
		t.waiters.Store(false)
	}
}
