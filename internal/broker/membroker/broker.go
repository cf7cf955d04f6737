package membroker

import (
	"context"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/handoff"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

var (
	_ broker.Broker = (*Broker)(nil)
	_ broker.Local  = (*Broker)(nil)
)

// minWorkers keeps a slow Deliver from stopping the others on small machines.
const minWorkers = 4

// Broker is the embedded broker. Make it with New; Start gives it its Sink.
// Safe for concurrent use.
type Broker struct {
	// Immutable after New.
	cfg          Config
	workers      int
	handoffLimit int64
	birth        time.Time // origin of the monotonic clock
	roomSeed     maphash.Seed
	epochSeed    maphash.Seed

	shards  [shardCount]shard
	hashers sync.Pool // *hasher

	// Budget. Written under a shard's lock, but for several shards at once.
	used       atomic.Int64 // logs, metadata and keys
	usedKeys   atomic.Int64 // keys alone
	reclaiming sync.Mutex   // one at a time takes from the others

	// Hand-off.
	waiting atomic.Int64   // cost of all that is queued or under delivery
	crowd   handoff.Throng // publishers that wait for waiting to fall
	ready   *handoff.Queue[*room]

	// Life.
	closed  atomic.Bool
	quit    chan struct{} // closed by Shutdown
	gone    chan struct{} // closed when the last goroutine has ended
	lifeMu  sync.Mutex
	started bool         // guarded by lifeMu
	sink    broker.Sink  // immutable after Start
	running atomic.Int64 // goroutines of Start that have not ended
}

// Option changes what New makes.
type Option func(*Broker)

// WithWorkers sets how many goroutines call the Sink, at least 1. The default
// is GOMAXPROCS, at least 4.
func WithWorkers(n int) Option { return func(b *Broker) { b.workers = max(1, n) } }

// New returns a broker that takes publishes at once and hands them over after
// Start. Values of cfg that are zero or negative take their defaults.
func New(cfg Config, opts ...Option) *Broker {
	cfg = cfg.withDefaults()
	b := &Broker{
		cfg:          cfg,
		workers:      max(minWorkers, runtime.GOMAXPROCS(0)),
		handoffLimit: max(cfg.MemoryBytes/4, int64(cfg.HandoffBytes)),
		birth:        time.Now(),
		roomSeed:     maphash.MakeSeed(),
		epochSeed:    maphash.MakeSeed(),
		hashers:      sync.Pool{New: func() any { return newHasher() }},
		ready:        handoff.NewQueue[*room](),
		quit:         make(chan struct{}),
		gone:         make(chan struct{}),
	}
	for i := range b.shards {
		b.shards[i].init(b)
	}
	for _, opt := range opts {
		opt(b)
	}
	return b
}

// Start begins to hand publications to sink, those already published first.
// Only the first call counts, and none after Shutdown.
func (b *Broker) Start(sink broker.Sink) {
	b.lifeMu.Lock()
	defer b.lifeMu.Unlock()
	if b.started || b.closed.Load() {
		return
	}
	b.started, b.sink = true, sink
	b.running.Store(int64(b.workers) + 1)
	for range b.workers {
		go b.serve() // ended and waited for by Shutdown
	}
	go b.sweepForever() // as above
}

// exited is called by each goroutine of Start when it ends.
func (b *Broker) exited() {
	if b.running.Add(-1) == 0 {
		close(b.gone)
	}
}

// Shutdown refuses publishes from now on, lets calls to the Sink that are under
// way return, and waits for the broker's goroutines. What still waits for the
// Sink is dropped: call Quiesce first. It returns ctx's error if that ends
// earlier; the goroutines then end with their calls.
func (b *Broker) Shutdown(ctx context.Context) error {
	b.lifeMu.Lock()
	if !b.closed.Swap(true) {
		close(b.quit)
		b.ready.Close()
		if !b.started {
			close(b.gone)
		}
	}
	b.lifeMu.Unlock()
	select {
	case <-b.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Subscribe returns at once: the broker delivers every room, and the Sink
// ignores those without members. Unavailable after Shutdown.
func (b *Broker) Subscribe(ctx context.Context, _ string) error { return b.check(ctx) }

// Unsubscribe does nothing: see Subscribe.
func (b *Broker) Unsubscribe(context.Context, string) error { return nil }

// check refuses work after Shutdown, and for callers who have left.
func (b *Broker) check(ctx context.Context) error {
	if b.closed.Load() {
		return unavailable("the broker is shut down")
	}
	if ctx.Err() != nil {
		return unavailable("the request ended before the broker took it")
	}
	return nil
}

func unavailable(message string) error { return wire.NewError(wire.Unavailable, message) }

// shardOf returns the shard of a room and the hash of its name.
func (b *Broker) shardOf(room string) (*shard, uint64) {
	h := maphash.String(b.roomSeed, room)
	return &b.shards[h%shardCount], h
}

// since is the broker's monotonic clock: nanoseconds since New.
func (b *Broker) since(now time.Time) int64 { return int64(now.Sub(b.birth)) }
