package ws

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/transport"
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
	inside   func() // runs at the end of Closed
}

func (p *peer) Receive(op wire.Op, payload []byte) bool {
	m := message{op, string(payload)}
	if p.receive != nil {
		return p.receive(p, m)
	}
	p.messages <- m
	return true
}

func (p *peer) Closed(c wire.Close) {
	p.closed <- c
	if p.inside != nil {
		p.inside()
	}
}

// rig is a server on a listener.
type rig struct {
	*Server
	t       testing.TB
	ln      net.Listener
	dial    func() (net.Conn, error)
	peers   chan *peer
	errs    chan error
	receive func(p *peer, m message) bool
	open    func(p *peer)
	sub     string
	own     bool                // what stands above has heartbeats of its own
	lean    chan transport.Conn // if set, connections have a handler without memory
}

type leanHandler struct{}

func (leanHandler) Receive(wire.Op, []byte) bool { return true }
func (leanHandler) Closed(wire.Close)            {}

func modes() []string {
	if canPark {
		return []string{ModeParked, ModeGoroutine}
	}
	return []string{ModeGoroutine}
}

// eachMode runs a test against a server of each mode on real sockets.
func eachMode(t *testing.T, cfg Config, f func(t *testing.T, r *rig)) {
	t.Helper()
	for _, mode := range modes() {
		t.Run(mode, func(t *testing.T) {
			cfg.Mode = mode
			f(t, newRig(t, cfg))
		})
	}
}

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	ln, err := (&net.ListenConfig{KeepAlive: -1}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, cfg, ln)
	r.dial = func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }
	return r
}

func newRigOn(t testing.TB, cfg Config, ln net.Listener) *rig {
	t.Helper()
	w := wheel.New()
	w.Start()
	s, err := New(cfg, w, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	r := &rig{Server: s, t: t, ln: ln, peers: make(chan *peer, 20_000), errs: make(chan error, 100)}
	h := &http.Server{Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: patience}
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		_ = h.Close()
		<-done
		w.Stop()
		if open := s.Stats().Open; open != 0 {
			t.Errorf("%d connections are open after shutdown", open)
		}
		if n := s.pending(); n != 0 {
			t.Errorf("%d bytes are pending after shutdown", n)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return r
}

func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	err := r.Accept(transport.Request{W: w, R: req, Subprotocol: r.sub, OwnHeartbeat: r.own, Open: func(c transport.Conn) transport.Handler {
		if r.lean != nil {
			r.lean <- c
			return leanHandler{}
		}
		p := &peer{conn: c, messages: make(chan message, 64), closed: make(chan wire.Close, 2), receive: r.receive}
		if r.open != nil {
			r.open(p)
		}
		r.peers <- p
		return p
	}})
	if err != nil {
		select {
		case r.errs <- err:
		default:
		}
	}
}

// raw is a client that speaks frames byte by byte.
type raw struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

const upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

// connect upgrades a connection; early follows the request in the same write.
func (r *rig) connect(early ...byte) (*raw, *peer) {
	r.t.Helper()
	return r.connectWith("", early...)
}

func (r *rig) connectWith(headers string, early ...byte) (*raw, *peer) {
	r.t.Helper()
	c := r.raw()
	c.write(append([]byte(upgrade+headers+"\r\n"), early...))
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		r.t.Fatalf("upgrade: %s", res.Status)
	}
	if strings.Contains(headers, "permessage-deflate") &&
		res.Header.Get("Sec-WebSocket-Extensions") != "permessage-deflate; client_no_context_takeover; server_no_context_takeover" &&
		res.Header.Get("Sec-WebSocket-Extensions") != "permessage-deflate; server_no_context_takeover; client_no_context_takeover" {
		r.t.Fatalf("extensions %q", res.Header.Get("Sec-WebSocket-Extensions"))
	}
	return c, take(r.t, r.peers)
}

func (r *rig) raw() *raw {
	r.t.Helper()
	nc, err := r.dial()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	return &raw{Conn: nc, t: r.t, br: bufio.NewReader(nc)}
}

func (c *raw) write(p []byte) {
	c.t.Helper()
	if _, err := c.Write(p); err != nil {
		c.t.Fatal(err)
	}
}

// tryWrite writes to a server that may have gone.
func (c *raw) tryWrite(p []byte) error { _, err := c.Write(p); return err }

type frame struct {
	first   byte
	payload []byte
}

func (c *raw) readFrame() (frame, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	var h [2]byte
	if _, err := io.ReadFull(c.br, h[:]); err != nil {
		return frame{}, err
	}
	n := uint64(h[1])
	if n >= 126 {
		ext := make([]byte, 2+6*(n-126))
		if _, err := io.ReadFull(c.br, ext); err != nil {
			return frame{}, err
		}
		n = binary.BigEndian.Uint64(append(make([]byte, 8-len(ext)), ext...))
	}
	p := make([]byte, n)
	_, err := io.ReadFull(c.br, p)
	return frame{h[0], p}, err
}

// expect reads one frame and compares it.
func (c *raw) expect(first byte, payload string) {
	c.t.Helper()
	f, err := c.readFrame()
	if err != nil {
		c.t.Fatalf("want frame %x %.40q, got %v", first, payload, err)
	}
	if f.first != first || string(f.payload) != payload {
		c.t.Fatalf("want frame %x %.40q, got %x %.40q", first, payload, f.first, f.payload)
	}
}

// expectClose reads frames up to a close frame and compares its code.
func (c *raw) expectClose(code wire.CloseCode) {
	c.t.Helper()
	for {
		f, err := c.readFrame()
		if err != nil {
			c.t.Fatalf("want close %d, got %v", code, err)
		}
		if f.first != 0x80|opClose {
			continue
		}
		if len(f.payload) < 2 || wire.CloseCode(binary.BigEndian.Uint16(f.payload)) != code {
			c.t.Fatalf("want close %d, got %q", code, f.payload)
		}
		return
	}
}

// expectEnd reads to the end of the connection: nothing may come but that.
func (c *raw) expectEnd() {
	c.t.Helper()
	f, err := c.readFrame()
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("want the end, got %x %.40q %v", f.first, f.payload, err)
	}
}

const (
	fin  = 0x80
	rsv1 = 0x40
)

// masked is one client frame.
func masked(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := [4]byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i&3])
	}
	return b
}

func text(s string) []byte { return masked(fin|opText, s) }

func closing(code wire.CloseCode, reason string) []byte {
	return masked(fin|opClose, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

func textFrame(s string) *wire.Frame {
	return wire.NewFrame(wire.Text, append(wire.Buffer(len(s)), s...))
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// take receives from ch or fails the test.
func take[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func (p *peer) expect(t testing.TB, payload string) {
	t.Helper()
	if m := take(t, p.messages); m.payload != payload {
		t.Fatalf("want message %.40q, got %.40q", payload, m.payload)
	}
}

func (p *peer) expectClosed(t testing.TB, code wire.CloseCode) {
	t.Helper()
	if c := take(t, p.closed); c.Code != code {
		t.Fatalf("want closed %d, got %d %q", code, c.Code, c.Reason)
	}
}

// until waits for a condition that no channel tells.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func name(i int) string { return fmt.Sprintf("message %d", i) }
