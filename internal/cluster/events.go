package cluster

import (
	"context"
	"sync"
)

// event is something that others are told of.
type event struct {
	gone      []string
	changed   bool
	announced bool
}

// events hands what has happened to those who want to know, in order, so that
// a heartbeat never waits for them. What waits is bounded by the number of
// instances that come and go.
type events struct {
	wake chan struct{} // one wish to look; immutable

	mu    sync.Mutex
	queue []event // guarded by mu
}

func (e *events) push(ev event) {
	e.mu.Lock()
	e.queue = append(e.queue, ev)
	e.mu.Unlock()
	signal(e.wake)
}

func (e *events) takeAll() []event {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.queue
	e.queue = nil
	return all
}

// runUntil tells of events until ctx ends.
func (e *events) runUntil(ctx context.Context, r *Registry) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.wake:
		}
		for _, ev := range e.takeAll() {
			if ctx.Err() != nil {
				return
			}
			r.tell(ctx, ev)
		}
	}
}

// tell calls everybody who wants to know of an event.
func (r *Registry) tell(ctx context.Context, ev event) {
	if ev.announced {
		for _, f := range r.announced {
			f(ctx)
		}
	}
	if ev.changed {
		view := r.View()
		for _, f := range r.changed {
			f(view)
		}
	}
	for _, incarnation := range ev.gone {
		for _, f := range r.gone {
			f(ctx, incarnation)
		}
	}
}
