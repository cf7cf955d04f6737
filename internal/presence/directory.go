package presence

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
)

// View knows the instances that live, by incarnation.
type View interface {
	Self() string
	Others() []string
}

// Notifier carries what is told to a room's members to all instances.
type Notifier interface {
	Notify(ctx context.Context, room string, payload []byte) error
}

const (
	// patience bounds the wait for Redis of one batch: joins and
	// authentications wait for it.
	patience = time.Second
	// retryPause is the time between two attempts while Redis is away.
	retryPause = 250 * time.Millisecond
)

// Directory writes down what this instance has, and reads what the others have.
// Make it with New and call Attach, then Start. Safe for concurrent use.
type Directory struct {
	// Immutable after New.
	keys  keys
	ttl   time.Duration
	redis *redisconn.Manager
	view  View
	tell  Notifier
	wheel *wheel.Wheel
	log   *zap.Logger
	write *redis.Script
	ctx   context.Context // ends with Shutdown
	stop  context.CancelFunc

	// Immutable after Attach.
	hub     *hub.Hub
	limiter *limit.Limiter

	wake    chan struct{} // one wish to write
	away    atomic.Bool   // Redis did not take what was last written
	working atomic.Bool   // the writer writes or tells
	running sync.WaitGroup
	reads   reads
	graves  graves
	stats   counters

	mu        sync.Mutex
	changes   changes   // guarded by mu
	lingering lingering // guarded by mu
	started   bool      // guarded by mu
	closed    bool      // guarded by mu
}

var (
	_ hub.Fleet         = (*Directory)(nil)
	_ redisconn.Watcher = (*Directory)(nil)
)

// New makes the directory of an instance. ttl is how long what it has written
// outlives its last heartbeat: long enough for others to notice, and to look.
func New(ttl time.Duration, m *redisconn.Manager, v View, n Notifier, w *wheel.Wheel, log *zap.Logger) *Directory {
	d := &Directory{
		keys: keys{m}, ttl: ttl, redis: m, view: v, tell: n, wheel: w, log: log,
		write: redis.NewScript(writeScript), wake: make(chan struct{}, 1), lingering: lingering{of: map[string]map[string]*lingerer{}},
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.changes.reset()
	d.changes.anew = true
	d.reads.wake, d.graves.wake = make(chan struct{}, 1), make(chan struct{}, 1)
	return d
}

// Attach makes the directory the fleet of a hub and a limiter. Call it once,
// before Start and before the first connection.
func (d *Directory) Attach(h *hub.Hub, l *limit.Limiter) {
	d.hub, d.limiter = h, l
	h.UseFleet(d)
	l.UseFleet(quota{d})
}

// Start begins to write and to read. It does not wait for Redis. Calls after
// the first, or after Shutdown, do nothing.
func (d *Directory) Start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.started || d.closed {
		return
	}
	d.started = true
	d.running.Go(d.writeUntilStopped)
	d.running.Go(d.readUntilStopped)
	d.running.Go(d.digUntilStopped)
	signal(d.wake)
}

// Shutdown writes down what waits, as far as ctx lasts, leaves what is written
// to the others, who tell of those that do not come back, and waits for what
// Start began. What happens from now on is not written.
func (d *Directory) Shutdown(ctx context.Context) error {
	d.mu.Lock()
	ran := d.started && !d.closed
	d.closed = true
	for _, users := range d.lingering.of {
		for _, l := range users {
			d.wheel.Cancel(&l.timer)
		}
	}
	d.mu.Unlock()
	d.stop()
	d.running.Wait()
	if !ran {
		return nil
	}
	return d.farewell(ctx)
}

// ReplicationChanged implements redisconn.Watcher.
func (d *Directory) ReplicationChanged(*redisconn.Shard) { d.startAnew() }

// TopologyChanged implements redisconn.Watcher: keys move with their slots.
func (d *Directory) TopologyChanged() {}

// startAnew has everything written anew.
func (d *Directory) startAnew() {
	d.mu.Lock()
	d.changes.anew = true
	d.mu.Unlock()
	signal(d.wake)
}

// signal leaves a wish in a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
