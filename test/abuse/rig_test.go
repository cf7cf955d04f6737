package abuse

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/config"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/modules"
)

// adminKey opens the admin port of every gateway of the rig.
const adminKey = "a key for these tests"

// open lets everybody join and publish, and keeps nothing.
const open = "version: 1\nrooms:\n  - match: \"**\"\n    join: anyone\n    publish: member\n"

func TestMain(m *testing.M) {
	if environ, ok := os.LookupEnv(childVar); ok {
		os.Exit(serveAsChild(environ))
	}
	goleak.VerifyTestMain(m)
}

// app is a running application.
type app struct {
	addr  string // host:port of the public port
	admin string // host:port of the admin port

	hub       *hub.Hub
	router    *router.Router
	gateway   *gateway.Gateway
	transport *ws.Server
}

// start runs an application until the test ends. Settings that are not given
// are such that timeouts which a test waits for are short.
func start(t testing.TB, policy string, environ ...string) *app {
	t.Helper()
	return startLogged(t, zap.NewNop(), policy, environ...)
}

// startLogged is start with a log of the test's own.
func startLogged(t testing.TB, log *zap.Logger, policy string, environ ...string) *app {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(append([]string{
		"HOST=127.0.0.1", "PORT=0", "ADMIN_PORT=0", "POLICY_FILE=" + path, "DRAIN_WINDOW=0s", "ADMIN_API_KEYS=" + adminKey,
	}, environ...), "test")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{}
	var servers *server.Servers
	run := fxtest.New(t, modules.App(cfg, log, nil), fx.Populate(&a.hub, &a.router, &a.gateway, &a.transport, &servers))
	run.RequireStart()
	t.Cleanup(run.RequireStop)
	a.addr, a.admin = servers.PublicAddr().String(), servers.AdminAddr().String()
	return a
}

// patience bounds what hangs; nothing asserts a time near it.
const patience = time.Minute

// eventually waits for a condition, and fails the test when patience ends.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(poll) {
		if time.Since(begin) > patience {
			t.Fatalf("%s: not in %v", what, patience)
		}
	}
}

const (
	poll = 20 * time.Millisecond
	// rest is how long nothing changes in a process that is at rest: longer
	// than the HTTP server lingers on a connection that it gives up.
	rest = 600 * time.Millisecond
)

func limited(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), patience)
}

// state is what a process holds.
type state struct {
	heap                    uint64 // live, in bytes
	goroutines, descriptors int
}

// measure collects garbage, pools included, and looks.
func measure(t testing.TB) state {
	t.Helper()
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return state{m.HeapAlloc, runtime.NumGoroutine(), descriptors(t, os.Getpid())}
}

// descriptors counts the open files of a process; always 0 where the system
// does not tell.
func descriptors(t testing.TB, pid int) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// baseline is what the process holds before the abuse: warm, with nobody
// connected. Give it what the abuse uses for the first time, so that only what
// grows with the abuse counts.
func (a *app) baseline(t testing.TB, warm ...func()) state {
	t.Helper()
	a.serves(t)
	for _, f := range warm {
		f()
	}
	a.get(t, a.admin, "/metrics")
	var last state
	since := time.Now()
	eventually(t, "the gateway rests", func() bool {
		now := state{goroutines: runtime.NumGoroutine(), descriptors: descriptors(t, os.Getpid())}
		if now != last || a.hub.Count() > 0 {
			last, since = now, time.Now()
		}
		return time.Since(since) > rest
	})
	return measure(t)
}

// settled holds the process to its baseline: goroutines and descriptors
// exactly, live heap within 5 %. It also holds the gateway to serving others.
func (a *app) settled(t testing.TB, before state) {
	t.Helper()
	a.serves(t)
	var now state
	defer func() {
		t.Logf("live heap %d, then %d bytes; %d goroutines, %d descriptors", before.heap, now.heap, now.goroutines, now.descriptors)
	}()
	for begin := time.Now(); ; time.Sleep(poll) {
		now = measure(t)
		if a.hub.Count() == 0 && now.goroutines == before.goroutines && now.descriptors == before.descriptors &&
			now.heap <= before.heap+before.heap/20 {
			return
		}
		if time.Since(begin) > patience/2 {
			t.Errorf("does not return to what it was: %+v before, %+v after, %d sessions", before, now, a.hub.Count())
			return
		}
	}
}

// serves holds the gateway to serving an honest client.
func (a *app) serves(t testing.TB) {
	t.Helper()
	c := a.dial(t, "honest")
	defer c.cut()
	c.send(t, `{"event":"ping","id":1}`)
	c.until(t, "pong")
}

// client is an honest client.
type client struct{ *websocket.Conn }

// message is what a client receives.
type message struct {
	Event string
	ID    json.RawMessage
	Room  string
	Data  json.RawMessage
}

// failure is the data of an error event.
type failure struct {
	Code, Message string
	Retryable     bool
}

func (m message) failure(t testing.TB) failure {
	t.Helper()
	var f failure
	if m.Event != "error" {
		t.Fatalf("got %s %s, want an error", m.Event, m.Data)
	}
	if err := json.Unmarshal(m.Data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// dial connects and waits for the greeting.
func (a *app) dial(t testing.TB, user string, headers ...string) *client {
	t.Helper()
	c, resp, err := a.try(t, user, headers...)
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, resp)
	}
	c.until(t, "room_joined")
	return c
}

// try connects and tells how that went. user "" presents no credential;
// headers are "Name: value".
func (a *app) try(t testing.TB, user string, headers ...string) (*client, *http.Response, error) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	h := http.Header{}
	if user != "" {
		h.Set("Authorization", "Bearer "+user)
	}
	opts := &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, HTTPHeader: h, Subprotocols: []string{"gateway.v1"}}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			opts.Host = value
			continue
		}
		h.Add(name, value)
	}
	ctx, cancel := limited(t)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, "ws://"+a.addr+"/ws", opts)
	return &client{c}, resp, err
}

// refused expects an upgrade to be refused, and returns what was said.
func (a *app) refused(t testing.TB, status int, user string, headers ...string) (http.Header, string) {
	t.Helper()
	c, resp, err := a.try(t, user, headers...)
	if err == nil {
		c.cut()
		t.Fatalf("%v: upgraded, want %d", headers, status)
	}
	if resp == nil || resp.StatusCode != status {
		t.Fatalf("%v: %v, want %d", headers, err, status)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header, string(b)
}

func (c *client) send(t testing.TB, text string) {
	t.Helper()
	ctx, cancel := limited(t)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// read returns the next message.
func (c *client) read(t testing.TB) message {
	t.Helper()
	m, err := c.next(t)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (c *client) next(t testing.TB) (message, error) {
	t.Helper()
	var m message
	ctx, cancel := limited(t)
	defer cancel()
	_, b, err := c.Read(ctx)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("message %q: %v", b, err)
	}
	return m, nil
}

// until reads up to an event and returns it.
func (c *client) until(t testing.TB, event string) message {
	t.Helper()
	for {
		if m := c.read(t); m.Event == event {
			return m
		}
	}
}

// ended reads to the end and returns the close code and the last message.
func (c *client) ended(t testing.TB) (int, message) {
	t.Helper()
	var last message
	for {
		m, err := c.next(t)
		if err != nil {
			return int(websocket.CloseStatus(err)), last
		}
		last = m
	}
}

// cut ends the connection without a word.
func (c *client) cut() { _ = c.CloseNow() }

// get asks a port; headers are "Name: value".
func (a *app) get(t testing.TB, port, path string, headers ...string) (int, string) {
	t.Helper()
	return request(t, http.MethodGet, port, path, "", headers...)
}

// request sends a request as a browser or a tool would.
func request(t testing.TB, method, port, path, body string, headers ...string) (int, string) {
	t.Helper()
	status, _, text := exchange(t, method, port, path, body, headers...)
	return status, text
}

// exchange is request with the answer's headers.
func exchange(t testing.TB, method, port, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	ctx, cancel := limited(t)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+port+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Add(name, value)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// metrics reads the metrics, by name with labels.
func (a *app) metrics(t testing.TB) map[string]float64 {
	t.Helper()
	_, text := a.get(t, a.admin, "/metrics")
	values := map[string]float64{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue // a label with a space: none of the gateway's own
		}
		values[name] = n
	}
	return values
}

// metric reads one metric.
func (a *app) metric(t testing.TB, name string) float64 {
	t.Helper()
	v, ok := a.metrics(t)[name]
	if !ok {
		t.Fatalf("there is no metric %s", name)
	}
	return v
}

// connect opens a TCP connection, which the test closes: a cleanup would hold
// it, and count as memory.
func (a *app) connect(t testing.TB) net.Conn {
	t.Helper()
	ctx, cancel := limited(t)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", a.addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
