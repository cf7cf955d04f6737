package flow

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/config"
	"github.com/moonx-farm/ws-gateway/internal/bridge"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/modules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a world of listeners by address.
type network struct {
	mu        sync.Mutex
	listeners map[string]*listener // guarded by mu
}

// listener accepts the far ends of what its network dials.
type listener struct {
	addr   string
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (n *network) listen(_ context.Context, _, address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &listener{addr: address, conns: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	select {
	case l.conns <- peer{far}:
		return near, nil
	case <-l.closed:
	case <-ctx.Done():
	}
	return nil, errors.Join(errors.New("connection refused"), near.Close(), far.Close())
}

// peer is a connection from this machine.
type peer struct{ net.Conn }

func (peer) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3007} }

// rig is one application.
type rig struct {
	t   *testing.T
	app *fxtest.App
	net *network

	hub    *hub.Hub
	router *router.Router
}

// inBubble runs f with an application that has the given settings.
func inBubble(t *testing.T, environ []string, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		environ = append([]string{"TRANSPORT=goroutine", "HOST=gateway", "ADMIN_HOST=admin", "PORT=80", "ADMIN_PORT=81"}, environ...)
		cfg, err := config.Load(environ, "v1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{t: t, net: &network{listeners: map[string]*listener{}}}
		cfg.Auth.HTTP.Dial = r.net.dial
		r.app = fxtest.New(t, modules.App(cfg, zap.NewNop(), nil),
			fx.Decorate(func() server.Listen { return r.net.listen }),
			fx.Decorate(func() bridge.Dial { return r.net.dial }),
			fx.Populate(&r.hub, &r.router))
		r.app.RequireStart()
		stop := sync.OnceFunc(func() { r.app.RequireStop() })
		defer stop()
		f(t, r)
		stop()
		if stats := r.hub.Stats(); stats.Sessions != 0 || stats.Rooms != 0 || stats.Memberships != 0 {
			t.Errorf("left behind: %+v", stats)
		}
	})
}

// client is one WebSocket.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

// event is what a client receives.
type event struct {
	Event  string
	ID     any
	Room   string
	Offset uint64
	Pos    string
	Data   map[string]any
}

// dial connects with a credential ("" for none).
func (r *rig) dial(token string) (*client, *http.Response) {
	r.t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{DialContext: r.net.dial}
	ws, resp, err := websocket.Dial(r.t.Context(), "ws://gateway:80/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: header, Host: "localhost", Subprotocols: []string{"gateway.v1"},
	})
	transport.CloseIdleConnections()
	if err != nil {
		return nil, resp
	}
	return &client{r.t, ws}, resp
}

// connect dials and takes the greeting and the user's room.
func (r *rig) connect(token string) *client {
	r.t.Helper()
	c, resp := r.dial(token)
	if c == nil {
		r.t.Fatalf("dial: %+v", resp)
	}
	c.expect("connected")
	c.expect("room_joined")
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next event, or the close that came instead.
func (c *client) next() (event, websocket.StatusCode) {
	c.t.Helper()
	var e event
	_, b, err := c.ws.Read(c.t.Context())
	if err != nil {
		return e, websocket.CloseStatus(err)
	}
	if err := json.Unmarshal(b, &e); err != nil {
		c.t.Fatalf("%s: %v", b, err)
	}
	return e, 0
}

func (c *client) expect(name string) event {
	c.t.Helper()
	e, code := c.next()
	if code != 0 || e.Event != name {
		c.t.Fatalf("got %+v, close %d; want %s", e, code, name)
	}
	return e
}

func (c *client) expectClose(want websocket.StatusCode) {
	c.t.Helper()
	if e, code := c.next(); code != want {
		c.t.Fatalf("got %+v, close %d; want close %d", e, code, want)
	}
}

// get asks the public server, admin the other one.
func (r *rig) get(url string) (int, string) { return r.ask(url, "", "") }

func (r *rig) admin(path string) (int, string) { return r.keyed(path, "") }

// keyed asks the admin server with a key.
func (r *rig) keyed(path, key string) (int, string) {
	return r.ask("http://admin:81"+path, "localhost:81", key)
}

func (r *rig) ask(url, host, key string) (int, string) {
	r.t.Helper()
	transport := &http.Transport{DialContext: r.net.dial, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Host = host
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// within runs f and fails when it takes longer of the bubble's time.
func within(t *testing.T, d time.Duration, f func()) {
	t.Helper()
	begin := time.Now()
	f()
	if took := time.Since(begin); took > d {
		t.Errorf("took %v, more than %v", took, d)
	}
}
