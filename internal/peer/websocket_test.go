package peer

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
)

// handshake opens a session by polling.
func handshake(t testing.TB, i *instance) (sid string) {
	t.Helper()
	_, rest, _ := strings.Cut(get(t, i.public.URL+"/socket.io/?EIO=4&transport=polling").body, `"sid":"`)
	sid, _, _ = strings.Cut(rest, `"`)
	if sid == "" {
		t.Fatal("no session")
	}
	return sid
}

// dial opens the WebSocket of a session.
func dial(t testing.TB, at *instance, sid string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	url := "ws" + strings.TrimPrefix(at.public.URL, "http") + "/socket.io/?EIO=4&transport=websocket&sid=" + sid
	c, resp, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: client(t)})
	if err == nil {
		c.SetReadLimit(1 << 20)
		t.Cleanup(func() { _ = c.CloseNow() })
	}
	return c, resp, err
}

func say(t testing.TB, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t testing.TB, c *websocket.Conn, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, got, err := c.Read(ctx); err != nil || string(got) != want {
		t.Fatalf("got %.40q, %v; want %.40q", got, err, want)
	}
}

// upgraded opens a session on home that lives on a WebSocket by way of at.
func upgraded(t testing.TB, at, home *instance) *websocket.Conn {
	t.Helper()
	c, _, err := dial(t, at, handshake(t, home))
	if err != nil {
		t.Fatal(err)
	}
	say(t, c, "2probe")
	hear(t, c, "3probe")
	say(t, c, "5")
	return c
}

func TestASessionMovesToAWebSocketByWayOfAnotherInstance(t *testing.T) {
	engines := setup{local: engineOf(t, polling.Config{})}
	at, home := pair(t, engines, engines)
	sid := handshake(t, home)
	if a := post(t, at.url(sid), "4before"); a.body != "ok" {
		t.Fatalf("post: %+v", a)
	}
	c, _, err := dial(t, at, sid)
	if err != nil {
		t.Fatal(err)
	}
	say(t, c, "2probe")
	hear(t, c, "3probe")
	say(t, c, "5")
	hear(t, c, "4before") // was not polled
	large := strings.Repeat("x", 60_000)
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range 100 {
			say(t, c, fmt.Sprintf("4%d%s", n, large))
		}
	})
	for n := range 100 {
		hear(t, c, fmt.Sprintf("4%d%s", n, large))
	}
	wg.Wait()
	if got := at.Stats(); got.WebSockets != 1 {
		t.Errorf("stats: %+v", got)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
	until(t, "the WebSocket has ended", func() bool { return at.Stats().WebSockets == 0 })
	if got := at.Stats(); got.Failed != 0 {
		t.Errorf("stats: %+v", got)
	}
}

func TestAWebSocketForASessionThatHasGoneIsRefused(t *testing.T) {
	engines := setup{local: engineOf(t, polling.Config{})}
	at, home := pair(t, engines, engines)
	_, resp, err := dial(t, at, home.sid("AAAAAAAAAAAAAAAAAAAAAA"))
	if err == nil || resp == nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestAWebSocketEndsWithTheInstanceOnItsWay(t *testing.T) {
	engines := setup{local: engineOf(t, polling.Config{})}
	at, home := pair(t, engines, engines)
	c := upgraded(t, at, home)
	at.Shutdown()
	if _, _, err := c.Read(t.Context()); err == nil {
		t.Error("goes on")
	}
}

func TestAWebSocketEndsWithTheInstanceOfItsSession(t *testing.T) {
	die := make(chan struct{})
	at, home := pair(t, setup{}, switching(func(net.Conn, *bufio.ReadWriter) { <-die }))
	_, br := raw(t, at, home.sid("s"), "")
	close(die)
	if _, err := br.ReadByte(); err == nil {
		t.Error("goes on")
	}
	until(t, "the WebSocket has ended", func() bool { return at.Stats().WebSockets == 0 })
}

func TestAnInstanceThatLeavesLetsItsWebSocketsGo(t *testing.T) {
	engines := setup{local: engineOf(t, polling.Config{})}
	at, home := pair(t, engines, engines)
	var all []*websocket.Conn
	for range 10 {
		all = append(all, upgraded(t, at, home))
	}
	at.Settle() // does not wait for who stays
	at.Leave(50 * time.Millisecond)
	at.Settle()
	for _, c := range all {
		if _, _, err := c.Read(t.Context()); err == nil {
			t.Error("goes on")
		}
	}
	until(t, "all have gone", func() bool { return at.Stats().WebSockets == 0 })
	sid := handshake(t, home)
	if _, _, err := dial(t, at, sid); err == nil {
		t.Error("another one was opened")
	}
	if a := post(t, at.url(sid), "4still"); a.body != "ok" {
		t.Errorf("a poll: %+v", a)
	}
}

// switching is an instance that switches to a WebSocket and lets a function have
// the connection.
func switching(f func(net.Conn, *bufio.ReadWriter)) setup {
	return serving(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		f(conn, rw)
	})
}

// raw switches to a WebSocket by way of an instance and sends more with the
// request.
func raw(t testing.TB, at *instance, sid, more string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at.public.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = fmt.Fprintf(conn, "GET /socket.io/?sid=%s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n%s", sid, more)
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", resp, err)
	}
	return conn, br
}

func TestWhatAClientSendsWithItsUpgradeIsPassedOn(t *testing.T) {
	at, home := pair(t, setup{}, switching(func(_ net.Conn, rw *bufio.ReadWriter) {
		b := make([]byte, 5)
		_, _ = io.ReadFull(rw, b)
		_, _ = rw.Write(b)
		_ = rw.Flush()
	}))
	for _, early := range []string{"h", "he", "hello"} {
		conn, br := raw(t, at, home.sid("s"), early)
		_, _ = io.WriteString(conn, "hello"[len(early):])
		b, err := io.ReadAll(br)
		if string(b) != "hello" || err != nil {
			t.Errorf("%q: got %q, %v", early, b, err)
		}
	}
}

func TestAnEndedDirectionTakesTheOtherAlong(t *testing.T) {
	ended := make(chan error, 1)
	at, home := pair(t, setup{}, switching(func(_ net.Conn, rw *bufio.ReadWriter) {
		_, err := io.Copy(rw, rw)
		_ = rw.Flush()
		ended <- err
	}))
	conn, br := raw(t, at, home.sid("s"), "the last words")
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		t.Fatal("no TCP")
	}
	_ = tcp.CloseWrite()
	if b, err := io.ReadAll(br); string(b) != "the last words" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	until(t, "the WebSocket has ended", func() bool { return at.Stats().WebSockets == 0 })
}

func TestWhoTakesNothingIsCut(t *testing.T) {
	const limit = 100 * time.Millisecond
	flood := make([]byte, 1<<20)
	_, _ = rand.Read(flood)
	pour := func(w io.Writer) {
		for {
			if _, err := w.Write(flood); err != nil {
				return
			}
		}
	}
	stopped, release := make(chan struct{}), make(chan struct{})
	redis := newRedis(t)
	at := newInstance(t, redis, setup{cfg: Config{WriteTimeout: limit}})
	home := newInstance(t, redis, switching(func(conn net.Conn, _ *bufio.ReadWriter) {
		pour(conn)
		close(stopped)
	}))
	at.sees(home)
	raw(t, at, home.sid("s"), "") // and does not read
	<-stopped
	until(t, "the client was cut", func() bool { return at.Stats().WebSockets == 0 })

	deaf := newInstance(t, redis, switching(func(net.Conn, *bufio.ReadWriter) { <-release }))
	at.sees(deaf)
	conn, _ := raw(t, at, deaf.sid("s"), "")
	pour(conn)
	until(t, "the instance was cut", func() bool { return at.Stats().WebSockets == 0 })
	close(release)
}

// BenchmarkMemory measures what an idle WebSocket, and a poll that waits, cost the
// instance on their way and the session's together: both are in this process, as
// are the clients.
func BenchmarkMemory(b *testing.B) {
	poll := serving(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	socket := switching(func(conn net.Conn, _ *bufio.ReadWriter) { _, _ = conn.Read(make([]byte, 1)) })
	b.Run("WebSocket", func(b *testing.B) {
		benchmarkMemory(b, socket, func(at *instance, sid string) io.Closer { c, _ := raw(b, at, sid, ""); return c })
	})
	b.Run("poll", func(b *testing.B) {
		benchmarkMemory(b, poll, func(at *instance, sid string) io.Closer {
			conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", at.public.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			_, _ = fmt.Fprintf(conn, "GET /socket.io/?sid=%s HTTP/1.1\r\nHost: a\r\n\r\n", sid)
			return conn
		})
	})
}

func benchmarkMemory(b *testing.B, local setup, open func(at *instance, sid string) io.Closer) {
	redis := newRedis(b)
	at, home := newInstance(b, redis, setup{}), newInstance(b, redis, local)
	at.sees(home)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	const conns = 500
	for b.Loop() {
		before, goroutines := heap(), runtime.NumGoroutine()
		var all []io.Closer
		for range conns {
			all = append(all, open(at, home.sid("s")))
		}
		until(b, "all have come", func() bool { s := at.Stats(); return s.WebSockets+s.Requests == conns })
		b.ReportMetric(float64(heap()-before)/conns, "B/each")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/conns, "goroutines/each")
		for _, c := range all {
			_ = c.Close()
		}
		until(b, "all have ended", func() bool { s := at.Stats(); return s.WebSockets+s.Requests == 0 })
	}
}
