package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/reload"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key = "a key of the tests"
	// canary is the token of every client. No answer may hold it.
	canary = "canary-9f2c41d7"
)

const rooms = `
version: 1
rooms:
  - {match: "lobby", join: anyone, publish: member, history: {size: 10}}
  - {match: "many:*", join: anyone, publish: member}
  - {match: "live", join: backend, publish: backend, presence: true}
  - {match: "prices", join: backend, publish: backend, history: {size: 5, age: 1m}, slow: conflate, durability: replicated}
  - {match: "ticks", join: ask, publish: nobody, presence: true, slow: drop_oldest}
  - {match: "asleep", join: nobody, publish: nobody, history: {size: 10}}
  - {match: "user:*", publish: backend, history: {size: 10}}
`

// rig is the API on a real admin port, over a real router, hub and broker.
type rig struct {
	t      *testing.T
	router *router.Router
	hub    *hub.Hub
	api    *httpapi.API
	gate   *admission
	logged *observer.ObservedLogs
	url    string
}

// instance is the name of the gateway.
const instance = "gateway-1"

// admission is a gateway that can drain, and does nothing about it.
type admission struct{ draining atomic.Bool }

func (a *admission) BeginDrain() bool { return !a.draining.Swap(true) }

// Status implements fleet.Rebalancer.
func (*admission) Status() cluster.RebalanceStatus { return cluster.RebalanceStatus{} }

// quick is a pacer that never waits.
type quick struct{}

func (quick) Pace(context.Context) error { return nil }

type setup struct {
	keys  []string
	parts func(*httpapi.Parts) // changes what the API works with
}

func start(t *testing.T, s setup) *rig {
	t.Helper()
	p, err := policy.Parse([]byte(rooms))
	if err != nil {
		t.Fatal(err)
	}
	core, logged := observer.New(zapcore.DebugLevel)
	log := zap.New(core)
	live, w := policy.NewLive(p), wheel.New()
	mem := membroker.New(membroker.Config{})
	h := hub.New(hub.Config{MaxRooms: 4, CatchUpBytes: 1 << 20}, mem, live.Lookup, quick{}, w)
	r := router.New(router.Config{Instance: instance, Version: "v0", HistoryBytes: 4000}, h, mem, auth.Development{}, live, w, zap.NewNop())
	w.Start()
	mem.Start(h)
	t.Cleanup(func() {
		r.Shutdown()
		h.Shutdown()
		if err := mem.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		w.Stop()
	})
	gate := &admission{}
	view, err := cluster.New(cluster.Config{
		ID: instance, Version: "v0", Zone: "a", AdvertiseURL: "wss://gateway-1.example", Address: "192.0.2.1:3007", TTL: 10 * time.Second,
		Rebalance: cluster.RebalanceConfig{Threshold: 0.15, Rate: 50},
	}, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	view.UseLoad(func() cluster.Load {
		return cluster.Load{Connections: h.Count(), Capacity: 200, Memory: 1 << 20, Draining: gate.draining.Load()}
	})
	all := fleet.New(fleet.Parts{Instance: instance, Router: r, Hub: h, View: view, Drainer: gate, Rebalancer: gate, Log: log})
	parts := httpapi.Of(all, log)
	parts.Running = httpapi.Running{
		Effective: httpapi.Effective{Instance: instance, Version: "v0", Settings: []httpapi.Setting{
			{Name: "PORT", Value: "3007", Default: "3007"}, {Name: "ADMIN_API_KEYS", Value: "(secret)", Changed: true, Secret: true},
			{Name: "SEND_QUEUE_BYTES", Value: "1", Default: "2", Changed: true, Mode: "PERFORMANCE_MODE"},
		}, Notes: []string{"for development"}},
		Policy: live, Reloads: reload.New([]reload.Source{{Name: "policy", Files: []string{"policy.yaml"}}}, nil, log),
		Health: health.New([]health.Check{
			{Name: "drain", Ready: func(context.Context) error { return nil }},
			{Name: "auth", Degrades: true, Ready: func(context.Context) error { return errors.New("10.0.0.7 refused") }},
		}, log),
	}
	if s.parts != nil {
		s.parts(&parts)
	}
	api := httpapi.New(httpapi.Config{MaxBody: 8000, MaxData: 2000}, parts)
	return &rig{t: t, router: r, hub: h, api: api, gate: gate, logged: logged, url: listen(t, s.keys, api)}
}

// listen serves the API as the gateway does; without keys it is off.
func listen(t *testing.T, keys []string, api http.Handler) string {
	t.Helper()
	cfg := server.Config{Host: "127.0.0.1", AdminHost: "127.0.0.1", AdminKeys: keys}
	known, err := server.NewKeys(server.Config{AdminHost: "0.0.0.0", AdminKeys: keys})
	if err != nil {
		t.Fatal(err)
	}
	routes := []server.Route{{Port: server.Admin, Pattern: httpapi.Prefix + "/", Handler: api}}
	s := server.New(cfg, routes, known, nil, server.ListenTCP, func(err error) { t.Error(err) }, zap.NewNop())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + s.AdminAddr().String()
}

// begin starts an API with a key.
func begin(t *testing.T) *rig { return start(t, setup{keys: []string{key}}) }

// ask is one request of a test. What is empty is as it should be.
type ask struct {
	method, path, body string
	key, host, kind    string
	header             http.Header
}

// answered is what came back.
type answered struct {
	status int
	header http.Header
	body   []byte
}

func (a answered) String() string { return http.StatusText(a.status) + " " + string(a.body) }

// do asks. Every answer is held to the document.
func (r *rig) do(a ask) answered {
	r.t.Helper()
	req, err := http.NewRequest(a.method, r.url+a.path, strings.NewReader(a.body))
	if err != nil {
		r.t.Fatal(err)
	}
	if a.header != nil {
		req.Header = a.header
	}
	req.Host = a.host
	if a.key == "" {
		a.key = key
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	if a.kind == "" {
		a.kind = "application/json"
	}
	if a.method == http.MethodPost {
		req.Header.Set("Content-Type", a.kind)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	out := answered{resp.StatusCode, resp.Header, body}
	holdToDocument(r.t, a, out)
	if bytes.Contains(body, []byte(canary)) || bytes.Contains(body, []byte(key)) {
		r.t.Errorf("%s %s tells a secret: %s", a.method, a.path, body)
	}
	return out
}

func (r *rig) post(path, body string) answered {
	r.t.Helper()
	return r.do(ask{method: http.MethodPost, path: "/api/v1" + path, body: body})
}

func (r *rig) get(path string) answered {
	r.t.Helper()
	return r.do(ask{method: http.MethodGet, path: "/api/v1" + path})
}

// good decodes an answer that must be 200.
func good[T any](t *testing.T, a answered) T {
	t.Helper()
	var v T
	if a.status != http.StatusOK {
		t.Fatalf("%v", a)
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// refused checks a refusal's status and code.
func refused(t *testing.T, a answered, status int, code string) {
	t.Helper()
	var p struct{ Code string }
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("%v: %v", a, err)
	}
	if a.status != status || p.Code != code {
		t.Errorf("%v; want %d %s", a, status, code)
	}
}

// client is a connection of a user.
type client struct {
	*pipe.Client
	t    *testing.T
	s    *session.Session
	seen []string
}

// join connects a user into rooms.
func (r *rig) join(user string, rooms ...string) *client {
	r.t.Helper()
	c := &client{t: r.t}
	id := auth.Identity{UserID: user, ExpiresAt: time.Now().Add(time.Hour)}
	c.Client = pipe.New(func(conn transport.Conn) transport.Handler {
		h := r.router.Open(conn, session.Hello{Codec: jsonv1.Codec{}, Peer: netip.MustParseAddr("192.0.2.7"), Identity: &id})
		c.s, _ = h.(*session.Session)
		return h
	})
	c.until("room_joined")
	for _, room := range rooms {
		c.Text(`{"event":"join_room","id":1,"data":{"room":"` + room + `"}}`)
		c.until("room_joined")
	}
	c.seen = nil
	return c
}

// read takes what has come.
func (c *client) read() []string {
	for _, f := range c.Sent() {
		c.seen = append(c.seen, string(f.Payload()))
	}
	return c.seen
}

// until waits for an event and returns it.
func (c *client) until(event string) string {
	c.t.Helper()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		for _, m := range c.read() {
			if strings.HasPrefix(m, `{"event":"`+event+`"`) {
				return m
			}
		}
		if time.Since(begun) > 10*time.Second {
			c.t.Fatalf("no %s among %q", event, c.seen)
		}
	}
}

// count counts the events of a name that have come.
func (c *client) count(event string) int {
	n := 0
	for _, m := range c.read() {
		if strings.HasPrefix(m, `{"event":"`+event+`"`) {
			n++
		}
	}
	return n
}

// faulty is a part that fails at everything.
type faulty struct{ err error }

func (f faulty) SendRoom(context.Context, string, router.Outgoing) (wire.Position, error) {
	return wire.Position{}, f.err
}
func (f faulty) SendUser(context.Context, string, router.Outgoing) (wire.Position, error) {
	return wire.Position{}, f.err
}
func (f faulty) SendConnection(context.Context, string, router.Outgoing) error { return f.err }
func (f faulty) SendEveryone(context.Context, router.Outgoing) error           { return f.err }
func (f faulty) ReadHistory(context.Context, string, wire.Position, int) (router.History, error) {
	return router.History{}, f.err
}
func (f faulty) Subscribe(context.Context, router.Target, string) (fleet.Reached, error) {
	return fleet.Reached{}, f.err
}
func (f faulty) Unsubscribe(context.Context, router.Target, string) (fleet.Reached, error) {
	return fleet.Reached{}, f.err
}
func (f faulty) Disconnect(context.Context, router.Target) (fleet.Reached, error) {
	return fleet.Reached{}, f.err
}
func (f faulty) RevokeUser(context.Context, string, time.Time) (fleet.Reached, error) {
	return fleet.Reached{}, f.err
}
func (f faulty) RevokeToken(context.Context, string) (fleet.Reached, error) {
	return fleet.Reached{}, f.err
}
func (f faulty) Connection(context.Context, string) (fleet.Connection, error) {
	return fleet.Connection{}, f.err
}
func (f faulty) Room(context.Context, string) (fleet.Room, error) { return fleet.Room{}, f.err }
func (f faulty) Seats(context.Context, string, fleet.Page) (fleet.Seats, error) {
	return fleet.Seats{}, f.err
}
func (f faulty) Drain(context.Context, string) (int, error) { return 0, f.err }
func (f faulty) Ask(context.Context, router.Target, fleet.Question) (fleet.Answers, error) {
	return fleet.Answers{}, f.err
}

// faultyDirectory and faultyInstances fail at what can fail.
type (
	faultyDirectory struct {
		httpapi.Directory
		faulty faulty
	}
	faultyInstances struct {
		partly
		faulty faulty
	}
)

func (f faultyDirectory) Connection(ctx context.Context, id string) (fleet.Connection, error) {
	return f.faulty.Connection(ctx, id)
}

func (f faultyInstances) Drain(ctx context.Context, name string) (int, error) {
	return f.faulty.Drain(ctx, name)
}

// missing are instances that have not answered.
var missing = []string{"gateway-2"}

// partly is a fleet of which some have not answered.
type partly struct{ httpapi.Parts }

func (p partly) Subscribe(ctx context.Context, to router.Target, room string) (fleet.Reached, error) {
	r, err := p.Membership.Subscribe(ctx, to, room)
	r.Missing = missing
	return r, err
}

func (p partly) Ask(ctx context.Context, to router.Target, q fleet.Question) (fleet.Answers, error) {
	a, err := p.Asker.Ask(ctx, to, q)
	a.Missing = missing
	return a, err
}

func (p partly) Unsubscribe(ctx context.Context, from router.Target, room string) (fleet.Reached, error) {
	r, err := p.Membership.Unsubscribe(ctx, from, room)
	r.Missing = missing
	return r, err
}

func (p partly) Room(ctx context.Context, room string) (fleet.Room, error) {
	r, err := p.Lookup.Room(ctx, room)
	r.Missing = missing
	return r, err
}

func (p partly) Seats(ctx context.Context, id string, at fleet.Page) (fleet.Seats, error) {
	return p.Lookup.Seats(ctx, id, at)
}

func (p partly) Connection(ctx context.Context, id string) (fleet.Connection, error) {
	return p.Directory.Connection(ctx, id)
}

func (p partly) Connections(ctx context.Context, userID string, at fleet.Page) fleet.Connections {
	c := p.Directory.Connections(ctx, userID, at)
	c.Missing = missing
	return c
}

func (p partly) Members(ctx context.Context, room string, at fleet.Page) fleet.Members {
	m := p.Directory.Members(ctx, room, at)
	m.Missing = missing
	return m
}

func (p partly) Rooms(ctx context.Context, prefix string, at fleet.Page) fleet.Rooms {
	r := p.Directory.Rooms(ctx, prefix, at)
	r.Missing = missing
	return r
}

func (p partly) Census(ctx context.Context) fleet.Census {
	c := p.Directory.Census(ctx)
	c.Missing = missing
	return c
}

func (p partly) Balance(ctx context.Context) fleet.Balance {
	b := p.Parts.Instances.Balance(ctx)
	b.Missing = missing
	return b
}

func (p partly) Statistics(ctx context.Context) fleet.AllStatistics {
	all := p.Parts.Instances.Statistics(ctx)
	all.Missing = missing
	return all
}

func (p partly) Instances() []cluster.Instance { return p.Parts.Instances.Instances() }

func (p partly) Drain(ctx context.Context, name string) (int, error) {
	return p.Parts.Instances.Drain(ctx, name)
}

// broken starts an API whose parts fail with an error.
func broken(t *testing.T, err error) *rig {
	return start(t, setup{keys: []string{key}, parts: func(p *httpapi.Parts) {
		f := faulty{err}
		p.Publisher, p.Membership, p.Removal, p.Asker, p.Lookup = f, f, f, f, f
		p.Directory, p.Instances = faultyDirectory{p.Directory, f}, faultyInstances{partly{*p}, f}
	}})
}
