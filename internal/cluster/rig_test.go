package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// until waits for a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// settings are valid settings of a test's instance.
func settings(id string) Config {
	return Config{
		ID: id, Version: "1.0", TTL: time.Second, Address: "127.0.0.1:3007",
		Rebalance: RebalanceConfig{Enabled: true, Threshold: 0.15, Rate: 50, Min: 100, Settle: 10 * time.Second},
	}
}

// alone makes the registry of a process without Redis.
func alone(t testing.TB, load Load) *Registry {
	t.Helper()
	r, err := New(settings("a"), nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	r.UseLoad(func() Load { return load })
	return r
}

// member is one instance of a fleet, with what it was told.
type member struct {
	*Registry
	load    atomic.Pointer[Load]
	kept    atomic.Int64 // calls of its keeper
	changes atomic.Int64

	mu   sync.Mutex
	gone []string // guarded by mu
}

// join makes an instance with a manager of its own, and starts it.
func join(t testing.TB, redis redisconn.Config, cfg Config) *member {
	t.Helper()
	m := redistest.NewManager(t, redis)
	r, err := New(cfg, m, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	one := &member{Registry: r}
	one.load.Store(&Load{Connections: 1, Capacity: 10})
	r.UseLoad(func() Load { return *one.load.Load() })
	r.AddKeeper(func(context.Context) error { one.kept.Add(1); return nil })
	r.OnGone(func(_ context.Context, incarnation string) {
		one.mu.Lock()
		defer one.mu.Unlock()
		one.gone = append(one.gone, incarnation)
	})
	r.OnChange(func([]Instance) { one.changes.Add(1) })
	m.Start()
	r.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.Shutdown(ctx) // Redis may be away by now
	})
	return one
}

// crash stops an instance as a killed process stops.
func (m *member) crash() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Registry.mu.Lock()
	stop := m.Registry.stop
	m.Registry.stop = nil
	m.Registry.mu.Unlock()
	stop()
	m.running.Wait()
}

func (m *member) told() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.gone...)
}

// sees tells whether a view has exactly these names.
func (m *member) sees(ids ...string) bool {
	view := m.View()
	if len(view) != len(ids) {
		return false
	}
	for n, i := range view {
		if i.ID != ids[n] {
			return false
		}
	}
	return true
}

// channels is a Carrier over Redis's publish and subscribe, as small as it can
// be.
type channels struct {
	client redis.UniversalClient
	pubsub *redis.PubSub
	prefix string
	to     atomic.Pointer[Bus]
	done   sync.WaitGroup
}

func newChannels(t testing.TB, server *redistest.Server, prefix string) *channels {
	t.Helper()
	c := &channels{client: server.Client(), pubsub: server.Client().Subscribe(t.Context(), prefix), prefix: prefix}
	c.done.Go(func() {
		for m := range c.pubsub.Channel() {
			if b := c.to.Load(); b != nil && m.Channel != prefix {
				b.Notice(m.Channel[len(prefix):], []byte(m.Payload))
			}
		}
	})
	t.Cleanup(func() {
		_ = c.pubsub.Close()
		c.done.Wait()
	})
	return c
}

func (c *channels) Notify(ctx context.Context, room string, payload []byte) error {
	return c.client.Publish(ctx, c.prefix+room, payload).Err()
}

func (c *channels) Subscribe(ctx context.Context, room string) error {
	// Without waiting for Redis to confirm it: tests ask until they are answered.
	return c.pubsub.Subscribe(ctx, c.prefix+room)
}
