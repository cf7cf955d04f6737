package peer

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// instance is one gateway, as far as this package is concerned: a public port, an
// admin port with its guards, and what there is between them.
type instance struct {
	t        testing.TB
	registry *cluster.Registry
	keys     *Keyring
	*Forwarder
	receiver *Receiver
	public   *httptest.Server
	admin    *server.Servers
	logs     *observer.ObservedLogs
	stop     func() // as a process that is killed, but for goroutines
}

// setup is how an instance differs from others.
type setup struct {
	cfg Config
	// local serves requests of sessions that the instance holds.
	local func(i *instance) Engine
	// before is called before the forwarder on the public port.
	before func(w http.ResponseWriter)
	peer   func() string // instead of where it is
	read   time.Duration // the public port's bound on reading; 0: 30 s
	parts  func(*Parts)
}

// handler makes an Engine of a function.
type handler func(w http.ResponseWriter, r *http.Request)

func (h handler) Continue(w http.ResponseWriter, r *http.Request) { h(w, r) }
func (h handler) Accept(req transport.Request) error              { h(req.W, req.R); return nil }

// serving is an instance whose sessions are served by a function.
func serving(f func(w http.ResponseWriter, r *http.Request)) setup {
	return setup{local: func(*instance) Engine { return handler(f) }}
}

func newInstance(t testing.TB, redis redisconn.Config, s setup) *instance {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	log := zap.New(core)
	m := redistest.NewManager(t, redis)
	registry, err := cluster.New(cluster.Config{
		ID: "test", TTL: time.Second,
		Rebalance: cluster.RebalanceConfig{Threshold: 1, Rate: 1, Min: 1, Settle: time.Second},
	}, m, log)
	if err != nil {
		t.Fatal(err)
	}
	registry.UseLoad(func() cluster.Load { return cluster.Load{Capacity: 10} })
	i := &instance{t: t, registry: registry, keys: NewKeyring(cluster.NewSecret(m, "peer"), log), logs: logs}
	parts := Parts{Fleet: registry, Keys: i.keys, Log: log}
	if s.parts != nil {
		s.parts(&parts)
	}
	if i.Forwarder, err = New(s.cfg, parts); err != nil {
		t.Fatal(err)
	}
	if s.local == nil {
		s.local = serving(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }).local
	}
	engine := s.local(i)
	i.receiver = NewReceiver(registry.Incarnation(), i.keys, http.HandlerFunc(engine.Continue))
	i.listen(s, i.Over(engine), log)
	place := Locate(s.cfg, i.admin.AdminAddr)
	if s.peer != nil {
		place = s.peer
	}
	registry.UsePeer(place)
	m.Start()
	registry.Start()
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	running.Go(func() { i.keys.Run(ctx) })
	var once sync.Once
	i.stop = func() {
		once.Do(func() {
			cancel()
			running.Wait()
			within, done := context.WithTimeout(context.Background(), time.Second)
			defer done()
			i.Shutdown()
			i.public.CloseClientConnections()
			i.public.Close()
			_ = i.admin.Shutdown(within)
		})
	}
	t.Cleanup(func() {
		i.stop()
		within, done := context.WithTimeout(context.Background(), time.Second)
		defer done()
		_ = registry.Shutdown(within)
		if got := i.Stats(); got.Requests != 0 || got.WebSockets != 0 || i.bodies.used.Load() != 0 || len(i.tunnels) != 0 {
			t.Errorf("left over: %+v, %d bytes", got, i.bodies.used.Load())
		}
	})
	return i
}

// listen opens the ports. The admin one is the gateway's own, with its guards.
func (i *instance) listen(s setup, engine Engine, log *zap.Logger) {
	i.public = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.before != nil {
			s.before(w)
		}
		if r.URL.Query().Get("sid") == "" {
			_ = engine.Accept(transport.Request{W: w, R: r, Open: openEcho})
			return
		}
		engine.Continue(w, r)
	}))
	i.public.Config.ReadTimeout = 30 * time.Second
	if s.read > 0 {
		i.public.Config.ReadTimeout = s.read
	}
	i.public.Start()
	cfg := server.Config{Host: "127.0.0.1", AdminHost: "127.0.0.1"}
	keys, err := server.NewKeys(cfg)
	if err != nil {
		i.t.Fatal(err)
	}
	routes := []server.Route{{Port: server.Admin, Pattern: Path + "/", Handler: i.receiver, Open: true}}
	i.admin = server.New(cfg, routes, keys, nil, server.ListenTCP, func(err error) { i.t.Error(err) }, log)
	if err := i.admin.Start(i.t.Context()); err != nil {
		i.t.Fatal(err)
	}
}

// sees waits until an instance knows the others.
func (i *instance) sees(others ...*instance) {
	i.t.Helper()
	for _, o := range others {
		until(i.t, "an instance knows another, and the secret", func() bool {
			one, ok := i.registry.Find(o.registry.Incarnation())
			return ok && one.Peer != "" && i.keys.current() != nil && o.keys.current() != nil
		})
	}
}

// sid is a session's id that names the instance.
func (i *instance) sid(rest string) string { return i.registry.Incarnation() + "." + rest }

// url is where clients ask this instance for a session.
func (i *instance) url(sid string) string {
	return i.public.URL + "/socket.io/?EIO=4&transport=polling&sid=" + sid
}

// pair is two instances that know each other: what comes to at belongs to home.
func pair(t *testing.T, at, home setup) (*instance, *instance) {
	t.Helper()
	redis := newRedis(t)
	a, h := newInstance(t, redis, at), newInstance(t, redis, home)
	a.sees(h)
	h.sees(a)
	return a, h
}

func newRedis(t testing.TB) redisconn.Config {
	redis := redistest.Single(t).Config()
	redis.Prefix = "peer:"
	return redis
}

// engineOf serves real Engine.IO sessions.
func engineOf(t testing.TB, cfg polling.Config) func(i *instance) Engine {
	return func(i *instance) Engine {
		w := wheel.New()
		w.Start()
		under, err := ws.New(ws.Config{}, w, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if err := under.Start(); err != nil {
			t.Fatal(err)
		}
		cfg.Instance = i.registry.Incarnation()
		s := polling.New(cfg, under, w, zap.NewNop())
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := s.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if err := under.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			w.Stop()
		})
		return s
	}
}

// echo sends what it receives back.
type echo struct{ conn transport.Conn }

func openEcho(c transport.Conn) transport.Handler { return echo{c} }

// Receive implements transport.Handler.
func (e echo) Receive(op wire.Op, payload []byte) bool {
	buf := wire.Buffer(len(payload) + 1)
	if op == wire.Text {
		buf = append(buf, '4')
	}
	e.conn.Send(wire.NewFrame(op, append(buf, payload...)))
	return true
}

// Closed implements transport.Handler.
func (e echo) Closed(wire.Close) {}

// client has connections of its own.
func client(t testing.TB) *http.Client {
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// answer is what an HTTP request was answered with.
type answer struct {
	status int
	body   string
	header http.Header
	err    error
}

func ask(c *http.Client, r *http.Request) answer {
	resp, err := c.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(body), resp.Header, err}
}

func get(t testing.TB, url string) answer {
	t.Helper()
	return ask(client(t), request(t, http.MethodGet, url, ""))
}

func post(t testing.TB, url, body string) answer {
	t.Helper()
	return ask(client(t), request(t, http.MethodPost, url, body))
}

func request(t testing.TB, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// unknown tells whether an answer is the protocol's error 1.
func (a answer) unknown() bool {
	return a.err == nil && a.status == http.StatusBadRequest && a.body == `{"code":1,"message":"Session ID unknown"}`
}
