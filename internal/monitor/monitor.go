package monitor

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Op is an operation that is measured.
type Op uint8

// The operations.
const (
	Publish      Op  = iota // from a client's or backend's publish to its being stored
	Deliver                 // queueing a batch of a room for all its members
	Join                    // from a join to its reply and what was missed being queued
	Authenticate            // verifying a token, outside service included
	Upgrade                 // from a request for a WebSocket to the answer
	Upstream                // from calling the service of a route to its answer
	ops          int = iota
)

// Ops lists the operations.
func Ops() []Op { return []Op{Publish, Deliver, Join, Authenticate, Upgrade, Upstream} }

// String is the operation's name, also used as a metric label.
func (o Op) String() string {
	return [...]string{"publish", "deliver", "join", "authenticate", "upgrade", "upstream"}[o]
}

const (
	shards = 8 // a power of two
	// timed is about how many of one operation are timed in a second.
	timed = 1024
	// slotTime is the length of a slot of the window, slots how many it has:
	// the present one and those of the last minute.
	slotTime = 10 * time.Second
	slots    = 7
	tick     = time.Second
)

// Monitor measures. Make it with New; Run must run, or everything is timed and
// the last minute never ends. Safe for concurrent use.
type Monitor struct {
	start time.Time // immutable
	ops   [ops]operation
	// watched is what Report shows the rates of; set before Run.
	watched []watched
	now     atomic.Int32 // the present slot
	// begun is when each slot began, in nanoseconds since start; -1: never.
	begun [slots]atomic.Int64
}

// Counter is something that others count. Value must be safe for concurrent
// use, cheap, and never fall.
type Counter struct {
	Name  string
	Value func() int64
}

type watched struct {
	Counter
	first [slots]*atomic.Int64 // its value as each slot began
}

// operation is what is kept of one.
type operation struct {
	counts [shards]struct {
		n atomic.Int64
		_ [56]byte
	}
	mask  atomic.Uint32 // timed are those whose random number has none of it
	total histogram
	slots [slots]struct {
		histogram
		first atomic.Int64 // how many there had been as the slot began
	}
	last int64 // owned by Run: how many there had been at the last tick
}

func (o *operation) count() int64 {
	n := int64(0)
	for i := range o.counts {
		n += o.counts[i].n.Load()
	}
	return n
}

// New makes a monitor.
func New() *Monitor {
	m := &Monitor{start: time.Now()}
	for i := 1; i < slots; i++ {
		m.begun[i].Store(-1)
	}
	return m
}

// Watch lets Report show how fast counters rise. Call it once, before Run.
func (m *Monitor) Watch(counters ...Counter) {
	for _, c := range counters {
		w := watched{Counter: c}
		for i := range w.first {
			w.first[i] = new(atomic.Int64)
		}
		m.watched = append(m.watched, w)
	}
}

// Span is one operation under way. The zero Span measures nothing.
type Span struct {
	m      *Monitor
	begun  time.Duration // since the monitor's start
	weight uint32        // how many it stands for
	op     Op
}

// Begin counts an operation, and begins to time it if it is one of those that
// are timed.
func (m *Monitor) Begin(op Op) Span {
	if m == nil {
		return Span{}
	}
	o := &m.ops[op]
	x := rand.Uint32() //nolint:gosec // chooses a shard and a sample
	o.counts[x%shards].n.Add(1)
	mask := o.mask.Load()
	if x>>16&mask != 0 {
		return Span{}
	}
	return Span{m, time.Since(m.start), mask + 1, op}
}

// End ends the operation. A span that is not ended was counted and is not
// timed.
func (s Span) End() {
	if s.m == nil {
		return
	}
	d := time.Since(s.m.start) - s.begun
	o := &s.m.ops[s.op]
	o.total.add(d, s.weight)
	o.slots[s.m.now.Load()].add(d, s.weight)
}

// Run keeps the window going and chooses how many are timed, until ctx ends.
func (m *Monitor) Run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.sample()
			if n%int(slotTime/tick) == 0 {
				m.turn()
			}
		}
	}
}

// sample chooses which of each operation are timed in the next second, by how
// many there were in the last.
func (m *Monitor) sample() {
	for i := range m.ops {
		o := &m.ops[i]
		count := o.count()
		o.mask.Store(maskFor(count - o.last))
		o.last = count
	}
}

// maskFor is 2^k-1 so that one in 2^k of n is at most timed.
func maskFor(n int64) uint32 {
	if n <= timed {
		return 0
	}
	k := bits.Len64(uint64(n-1) / timed)
	return 1<<min(k, 16) - 1
}

// turn begins the next slot. An operation that ends meanwhile may be counted in
// the slot that is being emptied, and be lost to the window.
func (m *Monitor) turn() {
	next := (m.now.Load() + 1) % slots
	for i := range m.ops {
		o := &m.ops[i]
		o.slots[next].clear()
		o.slots[next].first.Store(o.count())
	}
	for _, w := range m.watched {
		w.first[next].Store(w.Value())
	}
	m.begun[next].Store(int64(time.Since(m.start)))
	m.now.Store(next)
}
