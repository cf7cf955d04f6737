package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// Registry tells the fleet of this instance and knows the others. Make it with
// New; Start begins, Shutdown ends. Without Redis it knows this one alone. Safe
// for concurrent use.
type Registry struct {
	// Immutable after New.
	cfg         Config
	incarnation string
	url         string // the advertised base, "" without
	started     time.Time
	redis       *store // nil: one instance
	log         *zap.Logger

	// Immutable after Start.
	load      func() Load
	peer      func() string
	keepers   []func(ctx context.Context) error
	gone      []func(ctx context.Context, incarnation string)
	changed   []func(view []Instance)
	announced []func(ctx context.Context)

	cpu     *cpuMeter
	wake    chan struct{} // one wish for a beat at once
	keep    chan struct{} // one wish for the keepers to be called
	leaving atomic.Int64  // handed off a moment ago, see Instance.Leaving
	beaten  atomic.Int64  // time of the last heartbeat, in ns since 1970; 0: there was none
	heard   atomic.Bool   // Redis has taken it
	view    atomic.Pointer[view]
	stats   counters

	events events

	running sync.WaitGroup
	stop    context.CancelFunc // guarded by mu
	mu      sync.Mutex
}

// New makes the registry of a process. A nil manager means that there is one
// instance: this.
func New(cfg Config, m *redisconn.Manager, log *zap.Logger) (*Registry, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	base, err := baseURL(cfg.AdvertiseURL)
	if err != nil {
		return nil, err
	}
	r := &Registry{
		cfg: cfg, incarnation: newIncarnation(), url: base, started: time.Now(), log: log,
		load: func() Load { return Load{} }, peer: func() string { return "" }, cpu: newCPUMeter(),
		wake: make(chan struct{}, 1), keep: make(chan struct{}, 1),
	}
	r.events.wake = make(chan struct{}, 1)
	r.view.Store(&view{})
	if m != nil {
		r.redis = newStore(m, cfg.TTL)
		m.Watch(watcher{r})
	}
	return r, nil
}

// watcher looks again at the registry when Redis may have lost it.
type watcher struct{ r *Registry }

var _ redisconn.Watcher = watcher{}

// ReplicationChanged implements redisconn.Watcher.
func (w watcher) ReplicationChanged(*redisconn.Shard) { w.r.Beat() }

// TopologyChanged implements redisconn.Watcher.
func (w watcher) TopologyChanged() { w.r.Beat() }

// UseLoad says where the registry learns what this instance carries. Call it
// before Start. f is called at each heartbeat and each View: it must be quick.
func (r *Registry) UseLoad(f func() Load) { r.load = f }

// UsePeer says where the registry learns what other instances reach this one's
// admin port under, see Instance.Peer. Call it before Start. f is called as
// UseLoad's is.
func (r *Registry) UsePeer(f func() string) { r.peer = f }

// AddKeeper has f called after each heartbeat that Redis has taken, about four
// times in INSTANCE_TTL, so that it prolongs the life of what this instance
// keeps in Redis. Calls come one at a time, and a slow one delays the next, not
// the heartbeat. ctx ends with the registry. Call it before Start.
func (r *Registry) AddKeeper(f func(ctx context.Context) error) { r.keepers = append(r.keepers, f) }

// OnGone has f called once for each incarnation that has left the fleet, or is
// not heard of any more. Every instance is told of it, at about the same time.
// Calls come one at a time and may take their time. ctx ends with the
// registry. Call it before Start.
func (r *Registry) OnGone(f func(ctx context.Context, incarnation string)) {
	r.gone = append(r.gone, f)
}

// OnChange has f called when instances have come, gone, or changed their state,
// with the view as it is then; while Redis is away nothing is told. Calls come
// one at a time, from the goroutine of OnGone's. Call it before Start.
func (r *Registry) OnChange(f func(view []Instance)) { r.changed = append(r.changed, f) }

// onAnnounce has f called when Redis has taken a new state of this instance.
func (r *Registry) onAnnounce(f func(ctx context.Context)) { r.announced = append(r.announced, f) }

// Start begins to tell of this instance. It does not wait for Redis.
func (r *Registry) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop != nil || r.redis == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.running.Go(func() { r.beatUntil(ctx) })
	r.running.Go(func() { r.keepUntil(ctx) })
	r.running.Go(func() { r.events.runUntil(ctx, r) })
}

// Shutdown ends what Start began and tells the fleet that this instance has
// left. The error is Redis's.
func (r *Registry) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	stop := r.stop
	r.stop = nil
	r.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	r.running.Wait()
	return r.leave(ctx)
}

// Incarnation is what this run of the process is called in the fleet: 8 letters
// and digits.
func (r *Registry) Incarnation() string { return r.incarnation }

// Alone tells whether the process runs without Redis: no other instance can be
// known.
func (r *Registry) Alone() bool { return r.redis == nil }

// TTL is how long an instance that is not heard of counts as living.
func (r *Registry) TTL() time.Duration { return r.cfg.TTL }

// Beat has the fleet told of this instance, and asked for the others, soon. It
// never blocks.
func (r *Registry) Beat() { signal(r.wake) }

// Self is this instance as it is now.
func (r *Registry) Self() Instance {
	load, heartbeat := r.load(), time.Now()
	if ns := r.beaten.Load(); ns != 0 {
		heartbeat = time.Unix(0, ns)
	}
	return Instance{
		ID: r.cfg.ID, Incarnation: r.incarnation, URL: r.url, Address: r.cfg.Address, Peer: r.peer(), Zone: r.cfg.Zone, Version: r.cfg.Version,
		State: load.state(), Connections: load.Connections, Capacity: load.Capacity, Leaving: int(r.leaving.Load()),
		CPU: r.cpu.read(), Memory: load.Memory, MemoryLimit: load.MemoryLimit,
		Started: r.started, Heartbeat: heartbeat,
	}
}

// View lists the instances that live, in the order of their names: this one as
// it is now, the others as they last told of themselves. While Redis is away
// those stay until their time is over. The slice is the caller's.
func (r *Registry) View() []Instance {
	all := append(r.Others(), r.Self())
	byName(all)
	return all
}

// Others is View without this instance.
func (r *Registry) Others() []Instance { return r.view.Load().living(time.Now()) }

// Unheard lists instances whose time is over and that are not known to have
// gone, in no order: while Redis is away, and until everybody has found it
// again, they may well live.
func (r *Registry) Unheard() []Instance { return r.view.Load().unheard(time.Now()) }

// Find returns another instance as it last told of itself. One whose time is
// over is found too until it is known to have gone: while Redis is away it may
// well live.
func (r *Registry) Find(incarnation string) (Instance, bool) {
	p, ok := r.view.Load().peers[incarnation]
	return p.Instance, ok
}

// Live tells whether an incarnation lives as far as is known: this one always,
// and one that has just come not before the next heartbeat.
func (r *Registry) Live(incarnation string) bool {
	return incarnation == r.incarnation || r.view.Load().lives(incarnation, time.Now())
}

// signal leaves a wish in a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
