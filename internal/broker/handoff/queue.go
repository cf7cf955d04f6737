package handoff

import (
	"sync"
	"sync/atomic"
)

// Queue is the queue of rooms with something to hand over, shared by workers.
// Make it with NewQueue. Safe for concurrent use.
type Queue[T any] struct {
	mu   sync.Mutex
	cond sync.Cond

	// Guarded by mu.
	waiting Ring[T]
	idle    int // workers in Pop
	closed  bool
}

// NewQueue returns an empty queue.
func NewQueue[T any]() *Queue[T] {
	q := &Queue[T]{}
	q.cond.L = &q.mu
	return q
}

// Push appends v. It never waits.
func (q *Queue[T]) Push(v T) {
	q.mu.Lock()
	q.waiting.Push(v)
	wake := q.idle > 0
	q.mu.Unlock()
	if wake {
		q.cond.Signal()
	}
}

// Pop waits for the oldest element; false when the queue is closed.
func (q *Queue[T]) Pop() (v T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.waiting.Len() == 0 && !q.closed {
		q.idle++
		q.cond.Wait()
		q.idle--
	}
	if q.closed {
		return v, false
	}
	return q.waiting.Pop(), true
}

// Close lets every Pop return, now and later. What still waits is dropped.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.cond.Broadcast()
}

// Throng is where publishers wait for something common to all rooms. The zero
// value is ready. Safe for concurrent use.
type Throng struct {
	waiters atomic.Bool // somebody may be waiting
	mu      sync.Mutex
	gate    chan struct{} // guarded by mu; closed by Wake, nil without waiters
}

// Wait returns a channel that the next Wake closes, or a closed one if pass
// holds by now: a Wake may have come before the caller was known to wait.
func (t *Throng) Wait(pass func() bool) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gate == nil {
		t.gate = make(chan struct{})
		t.waiters.Store(true)
	}
	gate := t.gate
	if pass() {
		t.openLocked()
	}
	return gate
}

// Wake lets everybody go who waits.
func (t *Throng) Wake() {
	if !t.waiters.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gate != nil {
		t.openLocked()
	}
}

// Crowded reports whether somebody may be waiting.
func (t *Throng) Crowded() bool { return t.waiters.Load() }

// openLocked closes the gate. Guarded by mu.
func (t *Throng) openLocked() {
	close(t.gate)
	t.gate = nil
	t.waiters.Store(false)
}
