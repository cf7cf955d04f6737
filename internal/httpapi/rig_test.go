package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
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
  - {match: "asleep", join: nobody, publish: nobody, history: {size: 10}}
  - {match: "user:*", publish: backend, history: {size: 10}}
`

// rig is the API on a real admin port, over a real router, hub and broker.
type rig struct {
	t      *testing.T
	router *router.Router
	hub    *hub.Hub
	api    *httpapi.API
	logged *observer.ObservedLogs
	url    string
}

// admission is a gateway that can be shut.
type admission struct{ why error }

func (a *admission) Ready(context.Context) error { return a.why }
func (*admission) Capacity() int                 { return 200 }

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
	r := router.New(router.Config{Instance: "here", Version: "v0", HistoryBytes: 4000}, h, mem, auth.Development{}, live, w, zap.NewNop())
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
	parts := httpapi.Parts{Publisher: r, Membership: r, Removal: r, Directory: h, Admission: &admission{}, Log: log}
	if s.parts != nil {
		s.parts(&parts)
	}
	api := httpapi.New(httpapi.Config{MaxBody: 8000, MaxData: 2000, Instance: "here", Version: "v0"}, parts)
	return &rig{t: t, router: r, hub: h, api: api, logged: logged, url: listen(t, s.keys, api)}
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
func (f faulty) Subscribe(context.Context, router.Target, string) (int, error) { return 0, f.err }
func (f faulty) Unsubscribe(router.Target, string) (int, error)                { return 0, f.err }
func (f faulty) Disconnect(string) bool                                        { return false }
func (f faulty) DisconnectUser(string) int                                     { return 0 }
func (f faulty) RevokeUser(string, time.Time) (int, error)                     { return 0, f.err }
func (f faulty) RevokeToken(string) (int, error)                               { return 0, f.err }

// broken starts an API whose parts fail with an error.
func broken(t *testing.T, err error) *rig {
	return start(t, setup{keys: []string{key}, parts: func(p *httpapi.Parts) {
		p.Publisher, p.Membership, p.Removal = faulty{err}, faulty{err}, faulty{err}
	}})
}
