package auth

import (
	"context"
	"errors"
	"sync"
)

var errAbandoned = errors.New("nobody waits for the answer any more")

// slots bounds calls at once: who has sent into it holds one.
type slots chan struct{}

// take waits for a slot.
func (s slots) take(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s slots) give() { <-s }

// flights lets those who ask the same at the same time share one call. It does
// what singleflight of golang.org/x/sync does, and besides takes those out of
// the queue for a slot for whom nobody waits any more: a flood of clients that
// leave at once would fill it. A call that has begun goes on without its
// callers, since the next of them wants its answer. Safe for concurrent use.
type flights[V any] struct {
	// Immutable.
	ctx   context.Context //nolint:containedctx // of calls, which belong to no caller
	end   context.CancelFunc
	slots slots

	mu     sync.Mutex
	open   map[Digest]*flight[V] // guarded by mu
	closed bool                  // guarded by mu
	wg     sync.WaitGroup
}

type flight[V any] struct {
	callers int  // guarded by flights.mu
	begun   bool // guarded by flights.mu: has its slot

	abandoned chan struct{} // closed by the last caller that leaves before begun

	done  chan struct{} // closed by its goroutine
	value V             // set before done
	err   error         // set before done
}

func newFlights[V any](s slots) *flights[V] {
	ctx, end := context.WithCancel(context.Background()) //nolint:gosec // close calls it
	return &flights[V]{ctx: ctx, end: end, slots: s, open: map[Digest]*flight[V]{}}
}

// do returns the result of call, or of the call that is under way for the same
// key; or the cause of ctx when that ends first. call gets a context that no
// caller can end.
func (f *flights[V]) do(ctx context.Context, key Digest, call func(context.Context) (V, error)) (V, error) {
	var none V
	fl := f.join(key, call)
	if fl == nil {
		return none, context.Canceled
	}
	select {
	case <-fl.done:
		return fl.value, fl.err
	case <-ctx.Done():
		f.leave(key, fl)
		return none, context.Cause(ctx)
	}
}

// join counts a caller in; nil after close. A caller that does not wait never
// leaves, so that the call is made.
func (f *flights[V]) join(key Digest, call func(context.Context) (V, error)) *flight[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	fl := f.open[key]
	if fl == nil {
		fl = &flight[V]{abandoned: make(chan struct{}), done: make(chan struct{})}
		f.open[key] = fl
		f.wg.Go(func() { f.fly(key, fl, call) })
	}
	fl.callers++
	return fl
}

// leave counts a caller out.
func (f *flights[V]) leave(key Digest, fl *flight[V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl.callers--
	if fl.callers == 0 && !fl.begun && f.open[key] == fl {
		delete(f.open, key)
		close(fl.abandoned)
	}
}

// fly makes the call of a flight when there is a slot for it.
func (f *flights[V]) fly(key Digest, fl *flight[V], call func(context.Context) (V, error)) {
	fl.value, fl.err = f.call(fl, call)
	f.mu.Lock()
	if f.open[key] == fl {
		delete(f.open, key)
	}
	f.mu.Unlock()
	close(fl.done)
}

func (f *flights[V]) call(fl *flight[V], call func(context.Context) (V, error)) (V, error) {
	var none V
	select {
	case f.slots <- struct{}{}:
		defer f.slots.give()
	case <-fl.abandoned:
		return none, errAbandoned
	case <-f.ctx.Done():
		return none, f.ctx.Err()
	}
	f.mu.Lock()
	fl.begun = fl.callers > 0
	begun := fl.begun
	f.mu.Unlock()
	if !begun {
		return none, errAbandoned
	}
	return call(f.ctx)
}

// close ends the calls and waits for them; nothing flies any more.
func (f *flights[V]) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.end()
	f.wg.Wait()
}
