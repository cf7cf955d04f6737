package polling

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a test that hangs; nothing asserts a time near it.
const patience = 20 * time.Second

type message struct {
	op      wire.Op
	payload string
}

// peer is a handler that records, and the Conn it got.
type peer struct {
	conn     transport.Conn
	messages chan message
	closed   chan wire.Close
	receive  func(p *peer, m message) bool
}

func (p *peer) Receive(op wire.Op, payload []byte) bool {
	m := message{op, string(payload)}
	if p.receive != nil {
		return p.receive(p, m)
	}
	p.messages <- m
	return true
}

func (p *peer) Closed(c wire.Close) { p.closed <- c }

// echo sends every message back.
func echo(p *peer, m message) bool {
	p.conn.Send(frame(m))
	return true
}

func frame(m message) *wire.Frame {
	buf := wire.Buffer(len(m.payload) + 1)
	if m.op == wire.Text {
		buf = append(buf, '4')
	}
	return wire.NewFrame(m.op, append(buf, m.payload...))
}

func textFrame(s string) *wire.Frame { return frame(message{wire.Text, s}) }

// rig is a server behind a real HTTP server.
type rig struct {
	*Server
	ws      *ws.Server
	t       testing.TB
	client  *http.Client
	peers   chan *peer
	receive func(p *peer, m message) bool
	open    func(p *peer)
	lean    bool // handlers without memory
}

type leanHandler struct{}

func (leanHandler) Receive(wire.Op, []byte) bool { return true }
func (leanHandler) Closed(wire.Close)            {}

const base = "http://engine.test/engine.io/?EIO=4&transport="

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	ln, err := (&net.ListenConfig{KeepAlive: -1}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", ln.Addr().String())
	}
	return newRigOn(t, cfg, ws.Config{}, ln, dial)
}

func newRigOn(t testing.TB, cfg Config, below ws.Config, ln net.Listener, dial func(context.Context, string, string) (net.Conn, error)) *rig {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	w := wheel.New()
	w.Start()
	below.MaxMessageBytes = cfg.MaxPayload
	under, err := ws.New(below, w, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := under.Start(); err != nil {
		t.Fatal(err)
	}
	r := &rig{
		Server: New(cfg, under, w, zap.NewNop()), ws: under, t: t, peers: make(chan *peer, 20_000),
		client: &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 64}},
	}
	// As the public port: its bound on reading must not end a poll.
	h := &http.Server{Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: patience, ReadTimeout: 30 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := under.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		r.client.CloseIdleConnections()
		_ = h.Close()
		<-done
		w.Stop()
		if s := r.Stats(); s.Sessions != 0 || s.Polling != 0 || s.HeldBytes != 0 {
			t.Errorf("left over: %+v", s)
		}
	})
	return r
}

func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	AllowOrigin(w, req)
	switch {
	case req.Method == http.MethodOptions:
		Preflight(w, req)
	case HasSession(req):
		r.Continue(w, req)
	default:
		_ = r.Accept(transport.Request{W: w, R: req, Open: func(c transport.Conn) transport.Handler {
			if r.lean {
				return leanHandler{}
			}
			p := &peer{conn: c, messages: make(chan message, 64), closed: make(chan wire.Close, 2), receive: r.receive}
			if r.open != nil {
				r.open(p)
			}
			r.peers <- p
			return p
		}})
	}
}

// result is an answer.
type result struct {
	status int
	body   string
	header http.Header
	err    error
}

func (r *rig) do(ctx context.Context, method, url string, body io.Reader, headers ...string) result {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return result{err: err}
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		return result{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return result{res.StatusCode, string(b), res.Header, err}
}

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute) // of a bubble's time, too
	r.t.Cleanup(cancel)
	return ctx
}

// client is a polling client.
type client struct {
	*peer
	r   *rig
	url string
	sid string
}

type opened struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"`
	PingTimeout  int      `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

func parseOpen(t testing.TB, packet string) opened {
	t.Helper()
	var o opened
	d := json.NewDecoder(strings.NewReader(strings.TrimPrefix(packet, "0")))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil || packet[0] != '0' || o.SID == "" {
		t.Fatalf("open packet %q: %v", packet, err)
	}
	return o
}

func (r *rig) connect() *client {
	r.t.Helper()
	got := r.do(r.ctx(), http.MethodGet, base+"polling", nil)
	if got.status != http.StatusOK {
		r.t.Fatalf("handshake: %+v", got)
	}
	first, _, _ := strings.Cut(got.body, "\x1e")
	o := parseOpen(r.t, first)
	c := &client{r: r, sid: o.SID, url: base + "polling&sid=" + o.SID}
	if !r.lean {
		c.peer = take(r.t, r.peers)
	}
	return c
}

func (c *client) get() result { return c.r.do(c.r.ctx(), http.MethodGet, c.url, nil) }

func (c *client) post(body string) result {
	return c.r.do(c.r.ctx(), http.MethodPost, c.url, strings.NewReader(body), "Content-Type", "text/plain;charset=UTF-8")
}

// poll is a GET that goes on; its result comes when it was answered.
func (c *client) poll() <-chan result {
	done := make(chan result, 1)
	polls := c.r.waiting(c.sid)
	go func() { done <- c.get() }()
	if !polls {
		until(c.r.t, "the poll waits", func() bool { return len(done) > 0 || c.r.waiting(c.sid) })
	}
	return done
}

// waiting tells whether a poll of a session is held.
func (r *rig) waiting(sid string) bool {
	e := r.find(sid)
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.polls != nil && e.polls.waiting != nil && !e.polls.waiting.told
}

func (c *client) expectGet(want string) {
	c.r.t.Helper()
	if got := c.get(); got.status != http.StatusOK || got.body != want {
		c.r.t.Fatalf("poll: %d %.80q %v, want %.80q", got.status, got.body, got.err, want)
	}
}

func (c *client) expectPost(body string) {
	c.r.t.Helper()
	if got := c.post(body); got.status != http.StatusOK || got.body != "ok" {
		c.r.t.Fatalf("post: %+v", got)
	}
}

// expectGone checks that the session is over, for GET and POST.
func (c *client) expectGone() {
	c.r.t.Helper()
	for _, got := range []result{c.get(), c.post("4late")} {
		if got.status != http.StatusBadRequest || got.body != `{"code":1,"message":"Session ID unknown"}` {
			c.r.t.Fatalf("the session is not over: %+v", got)
		}
	}
}

func expectAnswer(t testing.TB, answer <-chan result, want string) {
	t.Helper()
	if got := take(t, answer); got.status != http.StatusOK || got.body != want {
		t.Fatalf("poll: %d %.80q %v, want %.80q", got.status, got.body, got.err, want)
	}
}

func (p *peer) expect(t testing.TB, want string) {
	t.Helper()
	if got := take(t, p.messages); got.payload != want || got.op != wire.Text {
		t.Fatalf("received %v, want %q", got, want)
	}
}

func (p *peer) expectClosed(t testing.TB, want wire.CloseCode) wire.Close {
	t.Helper()
	why := take(t, p.closed)
	if why.Code != want {
		t.Fatalf("closed %v, want %v", why, want)
	}
	return why
}

// socket is a client's WebSocket.
type socket struct {
	*websocket.Conn
	r *rig
}

// dial opens a WebSocket, for a new session or for that of a sid.
func (r *rig) dial(sid string) socket {
	r.t.Helper()
	url := base + "websocket"
	if sid != "" {
		url += "&sid=" + sid
	}
	c, res, err := websocket.Dial(r.ctx(), url, &websocket.DialOptions{HTTPClient: r.client})
	if err != nil {
		r.t.Fatalf("dial: %v %v", err, res)
	}
	c.SetReadLimit(-1)
	r.t.Cleanup(func() { _ = c.CloseNow() })
	return socket{c, r}
}

// dialNew opens a session on a WebSocket.
func (r *rig) dialNew() (socket, *peer, opened) {
	r.t.Helper()
	c := r.dial("")
	o := parseOpen(r.t, c.read())
	if r.lean {
		return c, nil, o
	}
	return c, take(r.t, r.peers), o
}

func (c socket) send(text string) {
	c.r.t.Helper()
	if err := c.Write(c.r.ctx(), websocket.MessageText, []byte(text)); err != nil {
		c.r.t.Fatal(err)
	}
}

func (c socket) read() string {
	c.r.t.Helper()
	_, b, err := c.Read(c.r.ctx())
	if err != nil {
		c.r.t.Fatal(err)
	}
	return string(b)
}

func (c socket) expect(want string) {
	c.r.t.Helper()
	if got := c.read(); got != want {
		c.r.t.Fatalf("websocket: %.80q, want %.80q", got, want)
	}
}

// expectEnd reads to the end and returns the close code; -1 without one.
func (c socket) expectEnd() websocket.StatusCode {
	c.r.t.Helper()
	for {
		if _, _, err := c.Read(c.r.ctx()); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

// upgrade moves a polling session to a WebSocket.
func (c *client) upgrade() socket {
	c.r.t.Helper()
	s := c.r.dial(c.sid)
	s.send("2probe")
	s.expect("3probe")
	s.send("5")
	before := c.r.find(c.sid)
	until(c.r.t, "the session has moved", func() bool { return before.direct.Load() })
	return s
}

func take[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	var v T
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not yet: %s", what)
		}
	}
}

// memListener is a listener over net.Pipe, for bubbles.
type memListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *memListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *memListener) Addr() net.Addr { return &net.UnixAddr{Name: "mem"} }

// inBubble runs a test over net.Pipe with fake time.
func inBubble(t *testing.T, cfg Config, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := &memListener{conns: make(chan net.Conn), done: make(chan struct{})}
		dial := func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			ln.conns <- server
			return client, nil
		}
		f(t, newRigOn(t, cfg, ws.Config{Mode: ws.ModeGoroutine}, ln, dial))
	})
}
