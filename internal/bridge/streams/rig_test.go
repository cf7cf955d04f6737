package streams

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// gateway is what commands act on: it keeps what it was told, in order, and
// answers as the test says. Like a broker it publishes a key once.
type gateway struct {
	mu     sync.Mutex
	did    []string                                     // guarded by mu
	seen   map[string]bool                              // guarded by mu: keys
	again  int                                          // guarded by mu: publications of a key that was seen
	inside int                                          // guarded by mu: calls now
	most   int                                          // guarded by mu: calls at once
	before func(ctx context.Context, what string) error // guarded by mu: asked first
	reach  fleet.Reached                                // guarded by mu
}

// answers has f decide about each call, before it counts.
func (g *gateway) answers(f func(ctx context.Context, what string) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.before = f
}

func (g *gateway) reaches(r fleet.Reached) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reach = r
}

func (g *gateway) call(ctx context.Context, key, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	g.mu.Lock()
	before := g.before
	g.inside++
	g.most = max(g.most, g.inside)
	g.mu.Unlock()
	var err error
	if before != nil {
		err = before(ctx, what)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if err != nil {
		return err
	}
	if key != "" && g.seen[key] {
		g.again++
		return nil
	}
	if g.seen == nil {
		g.seen = map[string]bool{}
	}
	g.seen[key] = true
	g.did = append(g.did, what)
	return nil
}

func (g *gateway) send(ctx context.Context, to string, o router.Outgoing) error {
	rest := ""
	if o.Publisher != "stream/commands" {
		rest = " by " + o.Publisher + "/" + o.IdempotencyKey
	}
	if o.ConflateKey != "" {
		rest += " conflates " + o.ConflateKey
	}
	if o.Except != nil {
		rest += " but " + strings.Join(o.Except, ",")
	}
	return g.call(ctx, to+"\x00"+o.Publisher+"\x00"+o.IdempotencyKey, "%s: %s %s%s", to, o.Event, o.Data, rest)
}

func (g *gateway) SendRoom(ctx context.Context, room string, o router.Outgoing) (wire.Position, error) {
	return wire.Position{}, g.send(ctx, room, o)
}

func (g *gateway) SendUser(ctx context.Context, userID string, o router.Outgoing) (wire.Position, error) {
	return wire.Position{}, g.send(ctx, "user "+userID, o)
}

func (g *gateway) SendConnection(ctx context.Context, id string, o router.Outgoing) error {
	return g.send(ctx, "connection "+id, o)
}

func (g *gateway) SendEveryone(ctx context.Context, o router.Outgoing) error {
	return g.send(ctx, "everyone", o)
}

func (g *gateway) act(ctx context.Context, format string, args ...any) (fleet.Reached, error) {
	err := g.call(ctx, "", format, args...)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reach, err
}

func (g *gateway) Subscribe(ctx context.Context, to router.Target, room string) (fleet.Reached, error) {
	return g.act(ctx, "subscribe %s%s to %s", to.User, to.Connection, room)
}

func (g *gateway) Unsubscribe(ctx context.Context, from router.Target, room string) (fleet.Reached, error) {
	return g.act(ctx, "unsubscribe %s%s from %s", from.User, from.Connection, room)
}

func (g *gateway) Disconnect(ctx context.Context, to router.Target) (fleet.Reached, error) {
	return g.act(ctx, "disconnect %s%s", to.User, to.Connection)
}

func (g *gateway) RevokeUser(ctx context.Context, userID string, until time.Time) (fleet.Reached, error) {
	ms := int64(0)
	if !until.IsZero() {
		ms = until.UnixMilli()
	}
	return g.act(ctx, "revoke %s until %d", userID, ms)
}

func (g *gateway) RevokeToken(ctx context.Context, token string) (fleet.Reached, error) {
	return g.act(ctx, "revoke token %s", token)
}

// done is what was done, in order.
func (g *gateway) done() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.did)
}

// rig is a Redis with a stream and what reads it.
type rig struct {
	t      *testing.T
	server *redistest.Server
	redis  *redisconn.Manager
	client redis.UniversalClient
	keys   keys
	*gateway
	logs *observer.ObservedLogs
	log  *zap.Logger
}

func newRig(t *testing.T, args ...string) *rig {
	t.Helper()
	server := redistest.Single(t, args...)
	r := rigOn(t, server.Config())
	r.server = server
	return r
}

func rigOn(t *testing.T, cfg redisconn.Config) *rig {
	t.Helper()
	m := redistest.Manager(t, cfg)
	core, logs := observer.New(zap.DebugLevel)
	r := &rig{t: t, redis: m, client: m.Client(), gateway: &gateway{}, logs: logs, log: zap.New(core)}
	r.keys = r.commands(config(), nil).keys
	return r
}

// config is one with a lease that a busy machine does not lose.
func config() Config {
	return Config{Name: "commands", Lease: time.Second, RetryFor: time.Minute, DeadLength: 100, MaxData: 1000, Instance: "gw"}
}

// brief is one with a lease that is over soon.
func brief() Config {
	c := config()
	c.Lease = 400 * time.Millisecond
	return c
}

// commands makes an instance, which is not started.
func (r *rig) commands(cfg Config, ready func(context.Context) error) *Commands {
	return New(cfg, Parts{Redis: r.redis, Publisher: r.gateway, People: r.gateway, Ready: ready, Log: r.log})
}

// start starts an instance that stops with the test.
func (r *rig) start(cfg Config) *Commands {
	r.t.Helper()
	c := r.commands(cfg, nil)
	c.Start()
	r.t.Cleanup(func() { r.stop(c) })
	return c
}

func (r *rig) stop(c *Commands) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Shutdown(ctx); err != nil {
		r.t.Errorf("shutdown: %v", err)
	}
}

// add adds an entry, with fields and values separated by '|'.
func (r *rig) add(entry string) string {
	r.t.Helper()
	id, err := r.client.XAdd(r.t.Context(), &redis.XAddArgs{Stream: r.keys.stream, Values: strings.Split(entry, "|")}).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// until waits for a condition.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: not in %v; done %v; logs %v", what, patience, r.done(), r.logs.All())
		}
	}
}

// untilEmpty waits until all entries are at their end.
func (r *rig) untilEmpty() {
	r.t.Helper()
	r.until("an empty stream", func() bool { return r.client.XLen(r.t.Context(), r.keys.stream).Val() == 0 })
	if left := r.client.XPending(r.t.Context(), r.keys.stream, group).Val(); left.Count != 0 {
		r.t.Errorf("%d entries are not acknowledged", left.Count)
	}
}

// expect waits until the stream is empty and compares what was done, in any
// order.
func (r *rig) expect(want ...string) {
	r.t.Helper()
	r.untilEmpty()
	got := r.done()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.t.Errorf("done\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// letters are the dead letters, oldest first.
func (r *rig) letters() []map[string]any {
	r.t.Helper()
	all, err := r.client.XRange(r.t.Context(), r.keys.dead, "-", "+").Result()
	if err != nil {
		r.t.Fatal(err)
	}
	out := make([]map[string]any, len(all))
	for i := range all {
		out[i] = all[i].Values
	}
	return out
}

func unavailable(context.Context, string) error {
	return wire.NewError(wire.Unavailable, "not now")
}

// held waits for what the test waits for.
func held(ctx context.Context, release chan struct{}) error {
	select {
	case <-release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
