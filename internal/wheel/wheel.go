package wheel

import (
	"sync"
	"sync/atomic"
	"time"
)

// Tick is the resolution of the wheel.
const Tick = 50 * time.Millisecond

const (
	slots  = 1024 // one turn: 51.2 s
	shards = 16   // locks
	grab   = 64   // tasks collected per hold of a shard's lock
)

// Task is what a timer runs. Expired is called on the wheel's goroutine and
// must not block.
type Task interface{ Expired() }

// Timer is one pending call. Its zero value is idle; embed it by value in its
// owner, and do not copy it once it was used.
type Timer struct {
	next, prev *Timer // guarded by the shard's mu
	task       Task   // guarded by the shard's mu; nil when idle
	tick       int64  // guarded by the shard's mu
	shard      atomic.Uint32
}

// Wheel runs timers. Make it with New.
type Wheel struct {
	birth  time.Time
	turn   atomic.Uint32 // hands out shards
	shards [shards]shard
	quit   chan struct{}
	stop   sync.Once
	wg     sync.WaitGroup
}

type shard struct {
	mu    sync.Mutex
	done  int64         // guarded by mu: the last tick that was collected
	slots [slots]*Timer // guarded by mu: heads of doubly linked lists
	_     [64]byte      // keeps neighbours' locks off this cache line
}

// New returns a wheel that stands still until Start.
func New() *Wheel {
	return &Wheel{birth: time.Now(), quit: make(chan struct{})}
}

// Start runs the wheel. Call it once, before Stop.
func (w *Wheel) Start() { w.wg.Go(w.run) }

// Stop ends the wheel and waits for a running task. Pending timers never
// expire after it. Idempotent.
func (w *Wheel) Stop() {
	w.stop.Do(func() { close(w.quit) })
	w.wg.Wait()
}

// Schedule lets task expire once, after at least the given time and at most
// two ticks more if no task delays the wheel. A pending timer is re-scheduled. Safe
// for concurrent use and inside Expired.
func (w *Wheel) Schedule(t *Timer, after time.Duration, task Task) {
	tick := int64((time.Since(w.birth) + max(after, 0) + Tick - 1) / Tick)
	s := w.shardOf(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.task != nil {
		s.unlink(t)
	}
	t.task, t.tick = task, max(tick, s.done+1)
	s.link(t)
}

// Cancel makes a timer idle. It reports false when the timer was not pending:
// it was never scheduled, or its Expired has run, runs, or is about to.
func (w *Wheel) Cancel(t *Timer) bool {
	s := w.shardOf(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.task == nil {
		return false
	}
	s.unlink(t)
	return true
}

// shardOf is the shard a timer belongs to from its first use on.
func (w *Wheel) shardOf(t *Timer) *shard {
	n := t.shard.Load()
	if n == 0 {
		t.shard.CompareAndSwap(0, 1+w.turn.Add(1)%shards)
		n = t.shard.Load()
	}
	return &w.shards[n-1]
}

func (w *Wheel) run() {
	ticker := time.NewTicker(Tick)
	defer ticker.Stop()
	tasks := make([]Task, 0, grab)
	for {
		select {
		case <-w.quit:
			return
		case <-ticker.C:
		}
		now := int64(time.Since(w.birth) / Tick)
		for i := range w.shards {
			if !w.advance(&w.shards[i], now, tasks) {
				return
			}
		}
	}
}

// advance runs what expired in one shard. It reports false when the wheel was
// stopped meanwhile.
func (w *Wheel) advance(s *shard, now int64, tasks []Task) bool {
	for more := true; more; {
		tasks, more = s.collect(now, tasks[:0])
		for i, task := range tasks {
			select {
			case <-w.quit:
				return false
			default:
			}
			tasks[i] = nil
			task.Expired()
		}
	}
	return true
}

// collect unlinks expired timers, at most grab of them, and tells whether
// there may be more.
func (s *shard) collect(now int64, into []Task) (tasks []Task, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now-s.done > slots { // slept for more than a turn: visit each slot once
		s.done = now - slots
	}
	for ; s.done < now; s.done++ {
		for t := s.slots[slotOf(s.done+1)]; t != nil; {
			next := t.next
			if t.tick <= now {
				if len(into) == grab {
					return into, true
				}
				into = append(into, t.task)
				s.unlink(t)
			}
			t = next
		}
	}
	return into, false
}

// link puts a timer at the head of its slot. Called with mu held.
func (s *shard) link(t *Timer) {
	head := &s.slots[slotOf(t.tick)]
	t.next = *head
	if t.next != nil {
		t.next.prev = t
	}
	*head = t
}

// unlink takes a pending timer out and makes it idle. Called with mu held.
func (s *shard) unlink(t *Timer) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		s.slots[slotOf(t.tick)] = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev, t.task = nil, nil, nil
}

func slotOf(tick int64) int { return int(tick & (slots - 1)) }
