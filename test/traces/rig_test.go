package traces

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/config"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/tracing/tracetest"
	"github.com/moonx-farm/ws-gateway/modules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds a test that hangs; nothing asserts a time near it.
const patience = 2 * time.Minute

// What a backend sends that begins a trace, and what must be in no span.
const (
	theTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	theSpan   = "00f067aa0ba902b7"
	theParent = "00-" + theTrace + "-" + theSpan + "-01"

	token    = "canary-token"
	user     = "canary-user"
	room     = "chat:canary-room"
	secret   = "canary-data"
	adminKey = "canary-admin-key"
)

// around are the services that a gateway calls. They keep the trace context that
// they were sent, by their path.
type around struct {
	*httptest.Server

	mu   sync.Mutex
	sent map[string][]string // guarded by mu
}

func newAround(t *testing.T) *around {
	a := &around{sent: map[string][]string{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		a.mu.Lock()
		a.sent[r.URL.Path] = append(a.sent[r.URL.Path], r.Header.Get("Traceparent"))
		a.mu.Unlock()
		_, _ = io.WriteString(w, `{"user":{"id":"`+user+`"}}`)
	}))
	t.Cleanup(a.Close)
	return a
}

// got are the trace contexts that a path was sent.
func (a *around) got(path string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.sent[path]...)
}

// gateway is a running application, with what is around it.
type gateway struct {
	t             *testing.T
	ctx           context.Context
	public, admin string
	spans         *tracetest.Collector
	around        *around
	redis         *redistest.Server
	stop          func()
}

const policy = `
version: 1
rooms:
  - {match: "chat:*", join: anyone, publish: member, history: {size: 10}}
routes:
  - {match: "order.*", send: anyone, http: {url: "URL/orders"}}
  - {match: "bid.*", send: anyone, stream: {name: bids}}
`

// start runs a gateway until the test ends. It sends its spans to a collector
// unless environ has it otherwise.
func start(t *testing.T, environ ...string) *gateway {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	g := &gateway{t: t, ctx: ctx, spans: tracetest.New(t), around: newAround(t), redis: redistest.Single(t)}
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(policy, "URL", g.around.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(append([]string{
		"HOST=127.0.0.1", "PORT=0", "ADMIN_PORT=0", "POLICY_FILE=" + file, "DRAIN_WINDOW=0s", "ADMIN_API_KEYS=" + adminKey,
		"REDIS_HOST=127.0.0.1", "REDIS_PORT=" + strconv.Itoa(g.redis.Port()), "COMMAND_LEASE=1s",
		"AUTH_SERVICE_URL=" + g.around.URL, "WEBHOOK_URL=" + g.around.URL + "/hook", "SIGNING_SECRETS=a secret of tests",
		"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=" + g.spans.URL, "OTEL_BSP_SCHEDULE_DELAY=50",
		"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test", "INSTANCE_ID=here",
	}, environ...), "test")
	if err != nil {
		t.Fatal(err)
	}
	var servers *server.Servers
	app := fxtest.New(t, modules.App(cfg, zap.NewNop(), nil), fx.Populate(&servers))
	app.RequireStart()
	g.stop = sync.OnceFunc(func() { app.RequireStop() })
	t.Cleanup(g.stop)
	g.public, g.admin = servers.PublicAddr().String(), "http://"+servers.AdminAddr().String()
	return g
}

// message is an event as clients get it.
type message struct {
	Event string          `json:"event"`
	ID    int             `json:"id"`
	Data  json.RawMessage `json:"data"`
}

// client is a connection.
type client struct {
	*websocket.Conn
	g *gateway
}

// dial connects, with the headers of the test.
func (g *gateway) dial(headers ...string) *client {
	g.t.Helper()
	transport := &http.Transport{}
	h := http.Header{"Authorization": {"Bearer " + token}}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	conn, _, err := websocket.Dial(g.ctx, "ws://"+g.public+"/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: h, Subprotocols: []string{"gateway.v1"},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		_ = conn.CloseNow()
		transport.CloseIdleConnections()
	})
	c := &client{conn, g}
	c.until("connected", 0)
	return c
}

// send sends a request.
func (c *client) send(id int, event, data string) {
	c.g.t.Helper()
	text := `{"event":"` + event + `","id":` + strconv.Itoa(id) + `,"data":` + data + `}`
	if err := c.Write(c.g.ctx, websocket.MessageText, []byte(text)); err != nil {
		c.g.t.Fatal(err)
	}
}

// until reads up to an event with an id.
func (c *client) until(event string, id int) message {
	c.g.t.Helper()
	for {
		_, b, err := c.Read(c.g.ctx)
		if err != nil {
			c.g.t.Fatalf("waiting for %s: %v", event, err)
		}
		var m message
		if err := json.Unmarshal(b, &m); err != nil {
			c.g.t.Fatalf("%s: %v", b, err)
		}
		if m.Event == event && m.ID == id {
			return m
		}
		if m.Event == "error" {
			c.g.t.Fatalf("waiting for %s: %s", event, b)
		}
	}
}

// post asks the server API, within the trace of a backend if parent is one, and
// returns the status.
func (g *gateway) post(path, body, parent string) int {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.ctx, http.MethodPost, g.admin+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+adminKey)
	if parent != "" {
		req.Header.Set("Traceparent", parent)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// span waits for a span with a name in a trace; "" is any.
func (g *gateway) span(name, trace string) tracetest.Span {
	g.t.Helper()
	return g.spans.Wait(g.t, name+" in trace "+trace, func(s tracetest.Span) bool {
		return s.Name == name && (trace == "" || s.Trace == trace)
	})
}

// child waits for a span with a name below another one.
func (g *gateway) child(name string, of tracetest.Span) tracetest.Span {
	g.t.Helper()
	return g.spans.Wait(g.t, name+" below "+of.Name, func(s tracetest.Span) bool {
		return s.Name == name && s.Parent == of.ID && s.Trace == of.Trace
	})
}
