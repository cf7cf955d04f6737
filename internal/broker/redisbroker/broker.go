package redisbroker

import (
	"context"
	"hash/maphash"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/handoff"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

var (
	_ broker.Broker     = (*Broker)(nil)
	_ redisconn.Watcher = (*Broker)(nil)
)

const (
	// minWorkers keeps a slow Deliver from stopping the others on small
	// machines.
	minWorkers = 4
	// readers is how many rooms' logs are read at once to close holes.
	readers = 16
	// controlPrefix begins the names of rooms that carry notices of the fleet
	// alone.
	controlPrefix = '!'
)

// Broker is the broker on Redis. Make it with New; Start gives it its Sink.
// Safe for concurrent use.
type Broker struct {
	// Immutable after New.
	cfg      Config
	redis    *redisconn.Manager
	logs     *roomlog.Log
	log      *zap.Logger
	mutation *mutation
	seed     maphash.Seed
	workers  int
	before   string // what stands before a room's name in its channel,
	behindIt string // and after it

	parts [shardCount]registry

	// Connections.
	linkMu sync.Mutex
	links  map[*redisconn.Shard]*link // guarded by linkMu
	moved  chan struct{}              // of capacity 1: rooms may have to move
	seeks  atomic.Bool                // that will be said in a moment

	// Hand-off.
	waiting atomic.Int64   // cost of all that is queued, stashed or under delivery
	crowd   handoff.Throng // publishers that wait for waiting to fall
	ready   *handoff.Queue[*room]
	durable durables

	// Reading of logs.
	behind *handoff.Queue[*room]
	later  *agenda

	count counters

	// Life.
	ctx      context.Context // ends with Shutdown
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	started  atomic.Bool
	lifeMu   sync.Mutex
	closed   bool           // guarded by lifeMu
	sink     broker.Sink    // immutable after Start
	noticed  broker.Noticed // sink, if it is one; immutable after Start
	listener broker.Noticed // immutable after Start
}

// New returns a broker of what manager connects to, which must not have been
// started yet: the broker watches it.
func New(manager *redisconn.Manager, cfg Config, log *zap.Logger) *Broker {
	cfg = cfg.withDefaults()
	b := &Broker{
		cfg: cfg, redis: manager, logs: roomlog.New(manager, cfg.Log, log), log: log,
		mutation: newMutation(), seed: maphash.MakeSeed(), workers: max(minWorkers, runtime.GOMAXPROCS(0)),
		links: make(map[*redisconn.Shard]*link), moved: make(chan struct{}, 1),
		ready: handoff.NewQueue[*room](), behind: handoff.NewQueue[*room](), later: newAgenda(),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	const name = "\x00"
	b.before, b.behindIt, _ = strings.Cut(b.logs.Channel(name), name)
	for i := range b.parts {
		b.parts[i].rooms = make(map[string]*room)
	}
	manager.Watch(b)
	return b
}

// UseListener says who takes the notices of rooms whose names begin with "!".
// Call it before Start.
func (b *Broker) UseListener(l broker.Noticed) { b.listener = l }

// Start begins to hand publications to sink, and to listen to what is for
// everyone. It waits for nothing. Only the first call counts, and none after
// Shutdown.
func (b *Broker) Start(sink broker.Sink) {
	b.lifeMu.Lock()
	defer b.lifeMu.Unlock()
	if b.closed || b.started.Load() {
		return
	}
	b.sink = sink
	b.noticed, _ = sink.(broker.Noticed)
	b.started.Store(true)
	for range b.workers {
		b.wg.Go(b.serve)
	}
	for range readers {
		b.wg.Go(b.read)
	}
	b.wg.Go(func() { b.later.run(b.ctx) })
	b.wg.Go(b.rehome)
	b.wg.Go(func() { b.listen(wire.Everyone) })
}

// spawn runs f on a goroutine that Shutdown waits for; false after Shutdown.
func (b *Broker) spawn(f func()) bool {
	b.lifeMu.Lock()
	defer b.lifeMu.Unlock()
	if b.closed {
		return false
	}
	b.wg.Go(f)
	return true
}

// Shutdown refuses publishes from now on, lets calls to the Sink that are under
// way return, and waits for the broker's goroutines. What still waits for the
// Sink is dropped: call Quiesce first. It returns ctx's error if that ends
// earlier; the goroutines then end with their calls.
func (b *Broker) Shutdown(ctx context.Context) error {
	b.lifeMu.Lock()
	b.closed = true
	b.lifeMu.Unlock()
	b.cancel()
	b.ready.Close()
	b.behind.Close()
	b.later.close()
	err := b.logs.Shutdown(ctx)
	done := make(chan struct{})
	go func() { // ends with the goroutines that it waits for
		b.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// check refuses work before Start and after Shutdown, and for callers who have
// left.
func (b *Broker) check(ctx context.Context) error {
	switch {
	case b.ctx.Err() != nil:
		return unavailable("the broker is shut down")
	case ctx.Err() != nil:
		return unavailable("the request ended before the broker took it")
	case !b.started.Load():
		return unavailable("the broker has not been started")
	}
	return nil
}

func unavailable(message string) error { return wire.NewError(wire.Unavailable, message) }

// Notify sends a notice to every instance that is subscribed to the room, which
// needs no members and no history: see broker.Noticed. It is at most once.
func (b *Broker) Notify(ctx context.Context, room string, payload []byte) error {
	if err := b.check(ctx); err != nil {
		return err
	}
	return b.logs.Notify(ctx, room, payload)
}
