package bridge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a secret of tests"

// backend is an HTTP service in the bubble of a test. It keeps what it was
// sent and answers as the test says.
type backend struct {
	t      *testing.T
	server *httptest.Server
	logs   *observer.ObservedLogs
	log    *zap.Logger

	mu     sync.Mutex
	down   bool             // guarded by mu: connections are refused
	dials  int              // guarded by mu
	got    []got            // guarded by mu
	answer http.HandlerFunc // guarded by mu
}

// got is one request.
type got struct {
	body   string
	header http.Header
	at     time.Time
}

// inBubble runs f with a backend that answers {}.
func inBubble(t *testing.T, f func(t *testing.T, b *backend)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		b := &backend{t: t, logs: logs, log: zap.New(core)}
		b.server = httptest.NewUnstartedServer(b)
		b.server.Listener = &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		b.server.Start()
		b.answers(200, `{}`)
		f(t, b)
		b.server.Close()
	})
}

// pipeListener accepts the far ends of what a backend's dial makes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (b *backend) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	b.mu.Lock()
	b.dials++
	down := b.down
	b.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	select {
	case b.server.Listener.(*pipeListener).conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), near.Close(), far.Close())
	}
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has given up
	}
	b.mu.Lock()
	b.got = append(b.got, got{string(body), r.Header, time.Now()})
	answer := b.answer
	b.mu.Unlock()
	answer(w, r)
}

// handles sets what the backend does.
func (b *backend) handles(f http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = f
}

// answers sets what the backend answers.
func (b *backend) answers(status int, body string) {
	b.handles(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// hang never answers.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// drop ends the connection without an answer.
func drop(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// refuse sets whether connections are refused.
func (b *backend) refuse(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

// took takes what the backend was sent.
func (b *backend) took() []got {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.got
	b.got = nil
	return out
}

// dialled counts the connections that were asked for.
func (b *backend) dialled() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dials
}

// verify is what a receiver does: it is written down here a second time, from
// the README.
func verify(header, body string, now time.Time) error {
	var t, v1 string
	for _, part := range strings.Split(header, ",") {
		switch key, value, _ := strings.Cut(part, "="); key {
		case "t":
			t = value
		case "v1":
			v1 = value
		}
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "." + body))
	if hex.EncodeToString(mac.Sum(nil)) != v1 {
		return errors.New("the signature is wrong")
	}
	if t != fmt.Sprint(now.Unix()) {
		return fmt.Errorf("signed at %s, sent at %d", t, now.Unix())
	}
	return nil
}

// silent fails when the log holds a text.
func (b *backend) silent(text string) {
	b.t.Helper()
	for _, e := range b.logs.All() {
		if line := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(line, text) {
			b.t.Errorf("the log holds %q: %s", text, line)
		}
	}
}
