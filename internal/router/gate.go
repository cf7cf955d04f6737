package router

import (
	"context"
	"sync/atomic"
	"time"
)

// gate counts the publishes under way, and can be shut. Entering it costs two
// atomic additions per publish; shutting it, which happens once, polls.
type gate struct {
	shut   atomic.Bool
	inside atomic.Int64
}

// gatePoll is how often a shut gate looks whether everybody has left.
const gatePoll = 5 * time.Millisecond

// enter counts a publish in; false once the gate is shut. Whoever entered
// leaves.
func (g *gate) enter() bool {
	g.inside.Add(1)
	if g.shut.Load() { // after counting: hold either sees the count or is seen
		g.inside.Add(-1)
		return false
	}
	return true
}

func (g *gate) leave() { g.inside.Add(-1) }

// hold shuts the gate and waits until nobody is inside.
func (g *gate) hold(ctx context.Context) error {
	g.shut.Store(true)
	tick := time.NewTicker(gatePoll)
	defer tick.Stop()
	for g.inside.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
