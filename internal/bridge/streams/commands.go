package streams

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// stopTime is what Run gives to commands that are being executed.
const stopTime = 3 * time.Second

// Publisher sends what commands publish.
type Publisher interface {
	SendRoom(ctx context.Context, room string, o router.Outgoing) (wire.Position, error)
	SendUser(ctx context.Context, userID string, o router.Outgoing) (wire.Position, error)
	SendConnection(ctx context.Context, id string, o router.Outgoing) error
	SendEveryone(ctx context.Context, o router.Outgoing) error
}

// People are the connections of all instances.
type People interface {
	Subscribe(ctx context.Context, to router.Target, room string) (fleet.Reached, error)
	Unsubscribe(ctx context.Context, from router.Target, room string) (fleet.Reached, error)
	Disconnect(ctx context.Context, to router.Target) (fleet.Reached, error)
	RevokeUser(ctx context.Context, userID string, until time.Time) (fleet.Reached, error)
	RevokeToken(ctx context.Context, token string) (fleet.Reached, error)
}

var (
	_ Publisher = (*fleet.Fleet)(nil)
	_ People    = (*fleet.Fleet)(nil)
)

// Parts are what Commands works with. It owns none of them.
type Parts struct {
	Redis     *redisconn.Manager
	Publisher Publisher
	People    People
	// Ready returns why this instance should leave the commands to others, such
	// as that it drains; nil: it always reads.
	Ready  func(ctx context.Context) error
	Tracer *tracing.Tracer // nil: makes no spans
	Log    *zap.Logger
}

// keys are those of the command stream. They are in one slot of a cluster.
type keys struct{ stream, dead, lease string }

// Commands executes the commands of backends, on one instance at a time. Make
// it with New. Safe for concurrent use.
type Commands struct {
	// Immutable after New.
	cfg     Config
	parts   Parts
	keys    keys
	scripts scripts
	token   string          // says in the lease who holds it
	quit    chan struct{}   // closed by Shutdown: nothing more is begun
	ctx     context.Context // ends when Shutdown has no more time
	cancel  context.CancelFunc
	reader  sync.WaitGroup

	stats counters

	mu      sync.Mutex
	started bool      // guarded by mu
	closed  bool      // guarded by mu
	fault   error     // guarded by mu: of the last attempt to read
	said    time.Time // guarded by mu: when the log was last told of a fault
}

// New makes Commands. With the name Off it does nothing.
func New(cfg Config, parts Parts) *Commands {
	stream := parts.Redis.Key("stream", cfg.Name)
	c := &Commands{
		cfg: cfg, parts: parts, scripts: newScripts(), quit: make(chan struct{}),
		keys:  keys{stream: stream, dead: stream + ":dead", lease: stream + ":lease"},
		token: cfg.Instance + "/" + rand.Text()[:12],
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Enabled tells whether commands are read at all.
func (c *Commands) Enabled() bool { return c.cfg.Name != Off }

// Start begins to stand for election, and to read. It does not wait for Redis.
func (c *Commands) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.Enabled() || c.started || c.closed {
		return
	}
	c.started = true
	c.reader.Go(c.run)
}

// Shutdown ends what is being executed, within ctx, and leaves the rest to
// others. Its error is ctx's if that cut something short. Calls after the first
// wait too.
func (c *Commands) Shutdown(ctx context.Context) error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.quit)
	}
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, c.cancel)
	c.reader.Wait()
	cut := !stop()
	c.cancel()
	if cut {
		return ctx.Err()
	}
	return nil
}

// Run starts, and shuts down when ctx has ended.
func (c *Commands) Run(ctx context.Context) {
	c.Start()
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := c.Shutdown(last); err != nil {
		c.parts.Log.Warn("commands: some were cut short, and are left to others", zap.Error(err))
	}
}

// Err is why commands cannot be read, nil while they can or another instance
// reads them.
func (c *Commands) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

func (c *Commands) quitting() bool {
	select {
	case <-c.quit:
		return true
	default:
		return false
	}
}

// standsBack tells whether this instance should not read.
func (c *Commands) standsBack() bool {
	return c.quitting() || c.parts.Ready != nil && c.parts.Ready(c.ctx) != nil
}

// run stands for election until Shutdown, and reads when elected.
func (c *Commands) run() {
	for !c.quitting() {
		begun := time.Now()
		if !c.standsBack() && c.acquire() {
			c.serve(begun.Add(c.cfg.Lease))
		}
		c.wait(jitter(c.cfg.Lease / 4))
	}
}

// serve reads while the lease lasts.
func (c *Commands) serve(until time.Time) {
	c.parts.Log.Info("commands: this instance reads them", zap.String("stream", c.keys.stream))
	c.stats.tenures.Add(1)
	c.stats.active.Store(true)
	t := newTenure(c, until)
	why := t.read()
	t.end()
	c.stats.active.Store(false)
	c.parts.Log.Info("commands: this instance leaves them to others", zap.String("why", why))
}

// acquire takes the lease, if nobody has it.
func (c *Commands) acquire() bool {
	got, err := c.do(c.cfg.Lease/2, c.scripts.acquire, []string{c.keys.lease, c.keys.stream},
		c.token, c.cfg.Lease.Milliseconds(), group).Int()
	c.note(err)
	return err == nil && got == 1
}

// do runs a script on the shard of the stream, once.
func (c *Commands) do(within time.Duration, s *redis.Script, keys []string, args ...any) *redis.Cmd {
	ctx, cancel := context.WithTimeout(c.ctx, within)
	defer cancel()
	shard, err := c.parts.Redis.Shard(ctx, c.cfg.Name)
	if err != nil {
		failed := redis.NewCmd(ctx)
		failed.SetErr(err)
		return failed
	}
	cmd := s.Run(ctx, shard.Client(), keys, args...)
	if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
		c.parts.Redis.Refresh()
	}
	return cmd
}

// note keeps what became of an attempt to read, for health, and tells the log
// now and then.
func (c *Commands) note(err error) {
	if errors.Is(err, redis.Nil) || c.ctx.Err() != nil {
		err = nil
	}
	c.mu.Lock()
	c.fault = err
	say := err != nil && time.Since(c.said) >= saidEvery
	if say {
		c.said = time.Now()
	}
	c.mu.Unlock()
	if say {
		c.parts.Log.Warn("commands: the stream cannot be read", zap.String("stream", c.keys.stream), zap.Error(err))
	}
}

// wait waits, or until Shutdown.
func (c *Commands) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.quit:
	}
}
