package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/config"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/modules"
	"github.com/moonx-farm/ws-gateway/test/testbed"
)

const (
	// patience bounds every wait for something that must happen, with other
	// tests and programs on the same machine.
	patience = 90 * time.Second
	// soon bounds what is said to happen within a second: a loaded machine is
	// no failure, and how long it took is logged.
	soon = 20 * time.Second

	apiKey = "a key of this test's backend"
)

// policyText rules the rooms of all tests.
const policyText = `
version: 1
rooms:
  - {match: "**", join: anyone, publish: member, history: {size: 5000, age: 1h}, presence: true}
  - {match: "short:*", join: anyone, publish: member, history: {size: 3, age: 1h}}
  - {match: "safe:*", join: anyone, publish: member, history: {size: 100, age: 1h}, durability: replicated}
  - {match: "user:*", publish: backend, history: {size: 100, age: 1h}}
`

// fleet is one gateway: instances that share a Redis.
type fleet struct {
	t       *testing.T
	environ []string // of every instance
	all     []*gateway
}

// gateway is one instance.
type gateway struct {
	t             *testing.T
	name          string
	public, admin string // host:port
	stop          func() // as SIGTERM does; nothing when it has ended
}

// newFleet says how instances are set up: with a Redis, and perhaps more.
func newFleet(t *testing.T, environ ...string) *fleet {
	t.Helper()
	return &fleet{t: t, environ: append([]string{"POLICY_FILE=" + policyFile(t, policyText)}, environ...)}
}

func policyFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// on says where the Redis of a fleet is.
func on(s *redistest.Server) string { return "REDIS_URL=redis://" + s.Addr() }

// start runs instances until the test ends, and waits until they know each
// other.
func start(t *testing.T, names string, environ ...string) *fleet {
	t.Helper()
	f := newFleet(t, append([]string{on(redistest.Single(t))}, environ...)...)
	for name := range strings.FieldsSeq(names) {
		f.add(name)
	}
	f.settle()
	return f
}

// defaults are settings of every instance, before those of its fleet.
func defaults(name string) []string {
	return []string{
		"HOST=127.0.0.1", "INSTANCE_ID=" + name, "AUTH_MODE=development", "ADMIN_API_KEYS=" + apiKey,
		"DRAIN_WINDOW=0s", "INSTANCE_TTL=3s",
	}
}

// add starts an instance in this process, and does not wait for the others.
func (f *fleet) add(name string, environ ...string) *gateway {
	f.t.Helper()
	environ = slices.Concat(defaults(name), []string{"PORT=0", "ADMIN_PORT=0"}, f.environ, environ)
	cfg, err := config.Load(environ, "test")
	if err != nil {
		f.t.Fatal(err)
	}
	var servers *server.Servers
	app := fxtest.New(f.t, modules.App(cfg, zap.NewNop(), nil), fx.Populate(&servers))
	app.RequireStart()
	g := &gateway{
		t: f.t, name: name, stop: sync.OnceFunc(func() { app.RequireStop() }),
		public: servers.PublicAddr().String(), admin: servers.AdminAddr().String(),
	}
	f.t.Cleanup(g.stop)
	f.all = append(f.all, g)
	return g
}

// advertise starts an instance in this process that has a URL of its own.
func (f *fleet) advertise(name string, environ ...string) *gateway {
	f.t.Helper()
	port := testbed.FreePort(f.t)
	return f.add(name, append(environ, fmt.Sprint("PORT=", port), fmt.Sprintf("ADVERTISE_URL=http://127.0.0.1:%d", port))...)
}

// settle waits until all instances are ready, see each other, and hear of their
// rooms. After an outage that is later than ready: what is published meanwhile is
// read from the log, but who comes and goes is told only to those who hear it.
func (f *fleet) settle() {
	f.t.Helper()
	var names []string
	for _, g := range f.all {
		names = append(names, g.name)
	}
	slices.Sort(names)
	for _, g := range f.all {
		until(f.t, g.name+" is ready and sees "+strings.Join(names, ", "), func() bool {
			return g.ready() == http.StatusOK && slices.Equal(g.sees(), names) && g.live()
		})
	}
}

// sees are the names of the instances that one knows of, sorted.
func (g *gateway) sees() []string {
	var names []string
	for _, i := range g.instances() {
		names = append(names, i.Instance)
	}
	slices.Sort(names)
	return names
}

// live tells whether an instance is subscribed to all its rooms.
func (g *gateway) live() bool {
	_, raw := g.ask(http.MethodGet, "http://"+g.admin+"/metrics", nil)
	rooms := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		rooms[name] = value
	}
	live := rooms["ws_gateway_broker_live_rooms"]
	return live != "" && live == rooms["ws_gateway_broker_rooms"]
}

// instance is what is told of one.
type instance struct {
	Instance, State, Zone, URL, Version, Address string
	Ready                                        bool
	Connections, Capacity                        int
}

func (g *gateway) instances() []instance {
	var list struct{ Instances []instance }
	g.get("/api/v1/instances", &list)
	return list.Instances
}

// ready is the status of /health/ready, 0 when nobody answers.
func (g *gateway) ready() int {
	status, _ := g.ask(http.MethodGet, "http://"+g.public+"/health/ready", nil)
	return status
}

// get asks the server API and reads the answer, which must be a 200.
func (g *gateway) get(path string, into any) {
	g.t.Helper()
	status, body := g.ask(http.MethodGet, "http://"+g.admin+path, nil)
	if status != http.StatusOK {
		g.t.Fatalf("%s: GET %s: %d %s", g.name, path, status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		g.t.Fatalf("%s: GET %s: %v: %s", g.name, path, err, body)
	}
}

// post tells the server API something; it returns the status and the answer.
func (g *gateway) post(path string, data map[string]any) (int, answer) {
	g.t.Helper()
	body, err := json.Marshal(data)
	if err != nil {
		g.t.Fatal(err)
	}
	status, raw := g.ask(http.MethodPost, "http://"+g.admin+"/api/v1/"+path, body)
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		g.t.Fatalf("%s: POST %s: %d %v: %s", g.name, path, status, err, raw)
	}
	return status, a
}

// answer is what a POST brings.
type answer struct {
	Room, Pos, Code string
	Offset          uint64
	Retryable       bool
	Connections     int
	Draining        int
	Missing         []string
}

// done tells the server API something that must work.
func (g *gateway) done(path string, data map[string]any) answer {
	g.t.Helper()
	status, a := g.post(path, data)
	if status != http.StatusOK || a.Missing != nil {
		g.t.Fatalf("%s: POST %s %v: %d %+v", g.name, path, data, status, a)
	}
	return a
}

// ask is one HTTP request with the backend's key; status 0 without an answer.
func (g *gateway) ask(method, address string, body []byte) (int, []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		g.t.Error(err)
		return 0, nil
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, b
}

// directions are what GET /connect says.
type directions struct {
	URL, Instance, Code string
	Alternatives        []string
	RetryAfter          string `json:"-"`
}

// where asks an instance where to connect.
func (g *gateway) where() (int, directions) {
	g.t.Helper()
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(&http.Request{
		Method: http.MethodGet, Close: true, Header: http.Header{},
		URL: &url.URL{Scheme: "http", Host: g.public, Path: "/connect"},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var d directions
	if err := json.NewDecoder(resp.Body).Decode(&d); err != nil {
		g.t.Fatal(err)
	}
	d.RetryAfter = resp.Header.Get("Retry-After")
	return resp.StatusCode, d
}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// within waits for something that is said to happen within a second, and logs
// how long it took from a moment on.
func within(t *testing.T, since time.Time, what string, holds func() bool) {
	t.Helper()
	until(t, what, holds)
	took := time.Since(since)
	t.Logf("%v until %s", took.Round(time.Millisecond), what)
	if took > soon {
		t.Errorf("%s: only after %v", what, took)
	}
}
