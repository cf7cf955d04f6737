package redisbroker

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// agenda is what is to be done later, each thing quick: in order of time, by
// one goroutine.
type agenda struct {
	mu     sync.Mutex
	due    dueHeap // guarded by mu
	closed bool    // guarded by mu
	wake   chan struct{}
}

func newAgenda() *agenda { return &agenda{wake: make(chan struct{}, 1)} }

// after lets f be called after a time, unless the agenda is closed by then. f
// must not block, and is called under no lock.
func (a *agenda) after(d time.Duration, f func()) {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return
	}
	at := time.Now().Add(d)
	first := len(a.due) == 0 || at.Before(a.due[0].at)
	heap.Push(&a.due, errand{at, f})
	a.mu.Unlock()
	if first {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// run does what is due until ctx ends.
func (a *agenda) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		f, wait := a.next()
		if f != nil {
			f()
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-a.wake:
		case <-ctx.Done():
			return
		}
	}
}

// next takes the first errand that is due, or returns how long to wait.
func (a *agenda) next() (func(), time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.due) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(a.due[0].at); wait > 0 {
		return nil, wait
	}
	e, _ := heap.Pop(&a.due).(errand)
	return e.do, 0
}

// close forgets everything.
func (a *agenda) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed, a.due = true, nil
}

type errand struct {
	at time.Time
	do func()
}

// dueHeap is the errands as container/heap keeps them.
type dueHeap []errand

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any) {
	if e, ok := x.(errand); ok {
		*h = append(*h, e)
	}
}

func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = errand{}
	*h = (*h)[:last]
	return e
}
