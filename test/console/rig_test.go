package console

// What a test of a view uses:
//
//	f := start(t)                 two gateways, "one" and "two", with a Redis; stopped with the test
//	b := f.open(t, "live")        a tab at gateway one's console, "#/live", with the key given if asked for
//	f.one.url("/api/v1/counts")   an address of the admin port; f.one.ask(method, path, body, &answer) calls it
//	c := f.one.connect(t, "ann")  a client of the real kind on the public port; c.request(event, data), c.close()
//	b.Click, b.Fill, b.WaitText…  of test/testbed/browser
//	inspect(t, b, "live")         axe, overflow and pictures, light and dark, phone and desktop
//	b.MustBeRight()               nothing in the console, no violation of the CSP, no failed request
//
// f.add("three") starts one more, g.stop() ends one as SIGTERM does, g.kill()
// as a crash. Policy of all: rooms "**" with history and presence, "price:*"
// that conflates, "user:*".

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/test/testbed"
	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

const (
	patience = browser.Patience

	apiKey = "a key of the console's tests"
)

const policyText = `
version: 1
rooms:
  - {match: "price:*", join: anyone, publish: member, history: {size: 100, age: 1h}, slow: conflate}
  - {match: "user:*", publish: owner, history: {size: 100, age: 1h}}
  - {match: "**", join: anyone, publish: member, history: {size: 1000, age: 1h}, presence: true}
`

// fleet is two gateways that share a Redis.
type fleet struct {
	t        *testing.T
	environ  []string
	one, two *gateway
	redis    *redistest.Server
}

// start starts two gateways and waits until they know each other. environ are
// settings of both, after the rig's own.
func start(t *testing.T, environ ...string) *fleet {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(policyText), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, redis: redistest.Single(t)}
	f.environ = append([]string{
		"REDIS_URL=redis://" + f.redis.Addr(), "POLICY_FILE=" + policy, "INSTANCE_TTL=3s",
	}, environ...)
	f.one, f.two = f.add("one"), f.add("two")
	f.settle(f.one, f.two)
	return f
}

// settle waits until gateways see each other.
func (f *fleet) settle(all ...*gateway) {
	f.t.Helper()
	for _, g := range all {
		until(f.t, g.name+" sees all", func() bool {
			var list struct{ Instances []struct{ Instance string } }
			return g.ask(http.MethodGet, "/api/v1/instances", nil, &list) == http.StatusOK && len(list.Instances) == len(all)
		})
	}
}

// gateway is one instance.
type gateway struct {
	t             *testing.T
	name          string
	public, admin string // host:port
	cmd           *exec.Cmd
	log           *testbed.Output
	ended         chan struct{} // closed when the process has ended
}

// add starts a gateway and waits until it is ready. It is stopped with the test
// at the latest.
func (f *fleet) add(name string, environ ...string) *gateway {
	f.t.Helper()
	return serve(f.t, name, append(f.environ[:len(f.environ):len(f.environ)], environ...)...)
}

// serve starts a gateway, in development and with a key unless environ says
// otherwise, and waits until it is ready.
func serve(t *testing.T, name string, environ ...string) *gateway {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	public, admin := testbed.FreePort(t), testbed.FreePort(t)
	g := &gateway{
		t: t, name: name, public: fmt.Sprint("127.0.0.1:", public), admin: fmt.Sprint("127.0.0.1:", admin),
		cmd: exec.Command(path), log: &testbed.Output{}, ended: make(chan struct{}),
	}
	g.cmd.Env = append([]string{
		"HOST=127.0.0.1", fmt.Sprint("PORT=", public), fmt.Sprint("ADMIN_PORT=", admin), "INSTANCE_ID=" + name,
		"AUTH_MODE=development", "ADMIN_API_KEYS=" + apiKey, "DRAIN_WINDOW=300ms", "GORACE=atexit_sleep_ms=0",
	}, environ...)
	g.cmd.Stdout, g.cmd.Stderr, g.cmd.SysProcAttr = g.log, g.log, testbed.Attributes()
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, which the test's end kills and waits for
		defer close(g.ended)
		_ = g.cmd.Wait()
	}()
	t.Cleanup(func() {
		g.kill()
		if text := g.log.String(); t.Failed() || strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			t.Errorf("gateway %s said:\n%s", name, text[max(0, len(text)-6000):])
		}
	})
	until(t, name+" is ready", func() bool {
		select {
		case <-g.ended:
			t.Fatalf("gateway %s ended with code %d", name, g.cmd.ProcessState.ExitCode())
		default:
		}
		resp, err := lone.Get("http://" + g.public + "/health/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return g
}

// stop ends a gateway as SIGTERM does, and waits for it.
func (g *gateway) stop() {
	g.t.Helper()
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.ended:
	case <-time.After(patience):
		g.t.Fatalf("gateway %s does not end", g.name)
	}
}

// kill ends a gateway as a crash does; nothing when it has ended.
func (g *gateway) kill() {
	_ = g.cmd.Process.Kill()
	<-g.ended
}

// url is an address of the admin port.
func (g *gateway) url(path string) string {
	_, port, _ := net.SplitHostPort(g.admin)
	return "http://localhost:" + port + path
}

// ask calls the server API with the key, and reads its answer into a value
// unless that is nil. It returns the status, 0 when nobody answers.
func (g *gateway) ask(method, path string, body, answer any) int {
	g.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		g.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+g.admin+path, bytes.NewReader(raw))
	if err != nil {
		g.t.Fatal(err)
	}
	if body == nil {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := lone.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && answer != nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		g.t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
	return resp.StatusCode
}

// open opens a view of gateway one's console in a new browser.
func (f *fleet) open(t *testing.T, route string) *browser.Tab {
	t.Helper()
	b := browser.Open(t)
	f.one.show(b, route)
	return b
}

// show goes to a view of a gateway's console, such as "lookup/user/ann", and
// gives the key if it is asked for.
func (g *gateway) show(b *browser.Tab, route string) {
	g.t.Helper()
	id, _, _ := strings.Cut(route, "/")
	b.Visit("about:blank") // a hash alone would not load the page anew
	b.Visit(g.url("/#/" + route))
	b.Until("the view or the question for the key is there", func() bool {
		return b.Has("dialog #key") || b.Has(viewOf(id))
	})
	if b.Has("dialog #key") {
		giveKey(b)
	}
	b.WaitFor(viewOf(id))
}

func viewOf(id string) string { return `.view-root[data-view="` + id + `"]` }

// giveKey answers the question for the key.
func giveKey(b *browser.Tab) {
	b.Fill("#key", apiKey)
	b.Click(`[data-testid="use-key"]`)
}

// client is a connection of gateway.v1.
type client struct {
	t      *testing.T
	conn   *websocket.Conn
	id     string // of the connection
	lastID int
}

type message struct {
	Event, Room string
	ID          int `json:"id"`
	Data        json.RawMessage
}

// connect connects as a user, "" as a guest, and waits for "connected".
func (g *gateway) connect(t *testing.T, user string) *client {
	t.Helper()
	header := http.Header{}
	if user != "" {
		header.Set("Authorization", "Bearer "+user)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+g.public+"/ws", &websocket.DialOptions{HTTPHeader: header, Subprotocols: []string{"gateway.v1"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, conn: conn}
	t.Cleanup(c.close)
	var connected struct{ ConnectionID string }
	if err := json.Unmarshal(c.await("connected", 0).Data, &connected); err != nil {
		t.Fatal(err)
	}
	c.id = connected.ConnectionID
	return c
}

// request sends a request, fails on a reply that is an error, and returns the
// reply's data.
func (c *client) request(event string, data any) json.RawMessage {
	c.t.Helper()
	c.lastID++
	raw, err := json.Marshal(map[string]any{"event": event, "id": c.lastID, "data": data})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, raw); err != nil {
		c.t.Fatal(err)
	}
	return c.await("", c.lastID).Data
}

// await reads until an event comes, or the reply to a request.
func (c *client) await(event string, id int) message {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		_, raw, err := c.conn.Read(ctx)
		if err != nil {
			c.t.Fatalf("waiting for %s %d: %v", event, id, err)
		}
		var m message
		if err := json.Unmarshal(raw, &m); err != nil {
			c.t.Fatalf("%v: %s", err, raw)
		}
		if m.Event == event && event != "" || id != 0 && m.ID == id {
			if m.Event == "error" && event != "error" {
				c.t.Fatalf("refused: %s", m.Data)
			}
			return m
		}
	}
}

// close ends the connection.
func (c *client) close() { _ = c.conn.CloseNow() }

// lone is a client that keeps no connections.
var lone = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}
