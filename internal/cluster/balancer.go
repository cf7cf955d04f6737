package cluster

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// HandOff tells n clients to reconnect, spread evenly over a time, and returns
// when that is over, or ctx has ended, how many were told.
type HandOff func(ctx context.Context, n int, over time.Duration) int

// Balancer hands connections off while this instance carries more than its
// share. Make it with NewBalancer and call Run.
type Balancer struct {
	// Immutable after NewBalancer.
	cfg      RebalanceConfig
	registry *Registry
	handOff  HandOff
	every    time.Duration // between two looks
	log      *zap.Logger

	// Owned by Run.
	control control
	recent  []told

	mu     sync.Mutex
	status RebalanceStatus // guarded by mu
}

// told is how many connections were handed off, and when.
type told struct {
	at time.Time
	n  int
}

// RebalanceStatus is how it stands with handing connections off.
type RebalanceStatus struct {
	Enabled   bool
	Active    bool  // connections are being handed off
	Remaining int   // of them, still to be handed off
	HandedOff int64 // since the start
	Rounds    int64 // begun since the start
}

// NewBalancer makes a balancer.
func NewBalancer(r *Registry, f HandOff, log *zap.Logger) *Balancer {
	cfg := r.cfg.Rebalance
	return &Balancer{
		cfg: cfg, registry: r, handOff: f, every: r.cfg.TTL / beatsPerTTL, log: log,
		control: control{cfg: cfg}, status: RebalanceStatus{Enabled: cfg.Enabled && !r.Alone()},
	}
}

// Run looks at each heartbeat and hands connections off, until ctx ends.
func (b *Balancer) Run(ctx context.Context) {
	if !b.Status().Enabled {
		return
	}
	for spent := time.Duration(0); sleep(ctx, b.every-spent); {
		begun := time.Now()
		b.step(ctx)
		spent = min(time.Since(begun), b.every)
	}
}

// Status tells how it stands.
func (b *Balancer) Status() RebalanceStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

// step looks once, and hands off what is due until the next look. Not while Redis
// is away: clients find their rooms nowhere then, and what is known of the
// others is old.
func (b *Balancer) step(ctx context.Context) {
	b.forget()
	if !b.registry.heard.Load() {
		return
	}
	was := b.control.active()
	n := b.control.next(b.registry.Self(), b.registry.View(), time.Now(), b.every)
	if b.control.active() != was {
		b.log.Info("cluster: rebalance", zap.Bool("active", !was), zap.Int("connections", b.control.remaining+n))
	}
	b.note(n, 0, !was && b.control.active())
	if n == 0 {
		return
	}
	done := b.handOff(ctx, n, b.every)
	b.note(0, done, false)
	b.recent = append(b.recent, told{time.Now(), done})
	b.forget()
}

// note writes the status down.
func (b *Balancer) note(due, done int, began bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.Active, b.status.Remaining = b.control.active(), b.control.remaining+due
	b.status.HandedOff += int64(done)
	if began {
		b.status.Rounds++
	}
}

// restTime is how long a client that is handed off may take until it is among
// another's connections: the spread of reconnects, and its handshake.
const restTime = 2 * time.Second

// forget tells the registry how many may be on their way still: until they have
// come, and that instance has told so.
func (b *Balancer) forget() {
	sum, since := 0, time.Now().Add(-restTime-b.every)
	kept := b.recent[:0]
	for _, t := range b.recent {
		if t.at.After(since) {
			kept = append(kept, t)
			sum += t.n
		}
	}
	b.recent = kept
	b.registry.leaving.Store(int64(sum))
}

// control decides how many connections are handed off when. It knows no clock
// and no fleet of its own.
type control struct {
	cfg RebalanceConfig

	lately    [2]int    // connections at the last looks
	looks     int       // at which there was too much, in a row
	remaining int       // of a round under way
	credit    float64   // part of a connection that the rate allows still
	until     time.Time // of the rest after a round
}

// beginLooks is at how many looks in a row there must be too much: one may show
// a fleet in motion.
const beginLooks = 2

func (c *control) active() bool { return c.remaining > 0 }

// next returns how many connections to hand off until the next look, which
// follows after a time. A round has a size that is fixed as it begins, for then
// nobody is on the way; later looks can only make it smaller.
func (c *control) next(self Instance, all []Instance, now time.Time, every time.Duration) int {
	self.Connections = c.settled(self.Connections)
	if now.Before(c.until) {
		return 0
	}
	n := excess(self, all, c.cfg, c.active())
	switch {
	case c.active():
		c.remaining = min(c.remaining, n)
		if c.remaining == 0 {
			c.rest(now)
		}
	case n == 0:
		c.looks = 0
	default:
		if c.looks++; c.looks >= beginLooks {
			c.looks, c.remaining, c.credit = 0, n, 0
		}
	}
	due := min(c.remaining, c.allowed(every))
	c.remaining -= due
	if due > 0 && c.remaining == 0 {
		c.rest(now.Add(every))
	}
	return due
}

// settled is how many connections count before a round: no more than at the last
// looks. What the others tell is up to two heartbeats old. Where clients come to
// all instances, as after an outage, each would take itself for the one that
// carries too much if it counted its own of this moment.
func (c *control) settled(connections int) int {
	least := min(connections, c.lately[0], c.lately[1])
	c.lately = [2]int{c.lately[1], connections}
	if c.active() {
		return connections
	}
	return least
}

// allowed is how many the rate allows until the next look.
func (c *control) allowed(every time.Duration) int {
	c.credit += float64(c.cfg.Rate) * every.Seconds()
	whole := int(c.credit)
	c.credit -= float64(whole)
	return whole
}

// rest begins the pause after a round.
func (c *control) rest(from time.Time) { c.until = from.Add(c.cfg.Settle) }
