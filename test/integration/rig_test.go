package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/config"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/modules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// long tells whether the full figures are wanted.
func long() bool { return os.Getenv("GATEWAY_LONG") == "1" }

// gateway is a running application.
type gateway struct {
	url       string
	hub       *hub.Hub
	router    *router.Router
	transport *ws.Server
}

// start runs an application with a policy and settings until the test ends.
func start(t testing.TB, policy string, environ ...string) *gateway {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	environ = append([]string{"HOST=127.0.0.1", "PORT=0", "ADMIN_PORT=0", "POLICY_FILE=" + path, "DRAIN_WINDOW=0s"}, environ...)
	cfg, err := config.Load(environ, "test")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{}
	var servers *server.Servers
	app := fxtest.New(t, modules.App(cfg, zap.NewNop(), nil), fx.Populate(&g.hub, &g.router, &g.transport, &servers))
	app.RequireStart()
	t.Cleanup(app.RequireStop)
	g.url = "ws://" + servers.PublicAddr().String() + "/ws"
	return g
}

// client is one WebSocket.
type client struct {
	*websocket.Conn
	transport *http.Transport
}

// message is what a client receives.
type message struct {
	Event  string
	ID     int
	Offset uint64
	Pos    string
	Data   json.RawMessage
}

// joined is the data of room_joined.
type joined struct {
	Room      string
	Offset    uint64
	Pos       string
	Recovered bool
	Reason    string
}

func (g *gateway) dial(ctx context.Context, user string) (*client, error) {
	transport := &http.Transport{}
	conn, _, err := websocket.Dial(ctx, g.url, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + user}}, Subprotocols: []string{"gateway.v1"},
	})
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return &client{conn, transport}, nil
}

func (c *client) read(ctx context.Context) (message, error) {
	var m message
	_, b, err := c.Read(ctx)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("message %q: %w", b, err)
	}
	return m, nil
}

// until reads up to an event and returns it.
func (c *client) until(ctx context.Context, event string) (message, error) {
	for {
		m, err := c.read(ctx)
		if err != nil || m.Event == event {
			return m, err
		}
		if m.Event == "error" {
			return m, fmt.Errorf("error while waiting for %s: %s", event, m.Data)
		}
	}
}

// join joins a room from a position, "" for none.
func (c *client) join(ctx context.Context, room, since string) (joined, error) {
	data := map[string]any{"room": room}
	if since != "" {
		data["since"] = since
	}
	b, err := json.Marshal(map[string]any{"event": "join_room", "id": 7, "data": data})
	if err != nil {
		return joined{}, err
	}
	if err := c.Write(ctx, websocket.MessageText, b); err != nil {
		return joined{}, fmt.Errorf("join: %w", err)
	}
	for {
		m, err := c.until(ctx, "room_joined")
		if err != nil {
			return joined{}, err
		}
		if m.ID != 7 {
			continue // the user's own room
		}
		var j joined
		err = json.Unmarshal(m.Data, &j)
		return j, err
	}
}

// cut ends the connection without a word.
func (c *client) cut() { _ = c.CloseNow() }

// patience bounds a test that hangs; nothing asserts a time near it.
func patience(t *testing.T) context.Context {
	t.Helper()
	limit := 3 * time.Minute
	if long() {
		limit = 20 * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}
