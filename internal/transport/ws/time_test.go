package ws

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// memListener is a listener over net.Pipe, for bubbles.
type memListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newMemListener() *memListener {
	return &memListener{conns: make(chan net.Conn), done: make(chan struct{})}
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

func (l *memListener) dial() (net.Conn, error) {
	client, server := net.Pipe()
	l.conns <- server
	return client, nil
}

// inBubble runs a test in goroutine mode over net.Pipe with fake time.
func inBubble(t *testing.T, cfg Config, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := newMemListener()
		cfg.Mode = ModeGoroutine
		r := newRigOn(t, cfg, ln)
		r.dial = ln.dial
		f(t, r)
	})
}

func TestASilentPeerIsPingedAndThenCut(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		begin := time.Now()
		c, p := r.connect()
		_ = c.SetReadDeadline(time.Time{})
		first, err := c.br.ReadByte()
		if err != nil || first != fin|opPing {
			t.Fatalf("%x %v", first, err)
		}
		if d := time.Since(begin); d < 22*time.Second || d > 28*time.Second {
			t.Errorf("ping after %v", d)
		}
		_, _ = c.br.ReadByte()
		pinged := time.Now()
		why := <-p.closed
		if d := time.Since(pinged); d < 20*time.Second || d > 21*time.Second {
			t.Errorf("cut %v after the ping", d)
		}
		if why.Code != wire.CloseAbnormal || why.Reason != "heartbeat timeout" || r.Stats().HeartbeatTimeouts != 1 {
			t.Errorf("%v %+v", why, r.Stats())
		}
	})
}

func TestAPeerWithHeartbeatsFromAboveIsLeftAlone(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		r.own = true
		c, p := r.connect()
		c.write(text("hello"))
		p.expect(t, "hello")
		time.Sleep(10 * time.Minute)
		if s := r.Stats(); len(p.closed) != 0 || s.FramesOut != 0 {
			t.Fatalf("pinged or cut: %+v", s)
		}
		p.conn.Send(textFrame("still here"))
		c.expect(fin|opText, "still here")
		begin := time.Now()
		p.conn.Close(wire.Close{Code: 4003})
		p.expectClosed(t, 4003)
		if d := time.Since(begin); d < 5*time.Second || d > 6*time.Second {
			t.Errorf("polite close took %v: the other deadlines hold", d)
		}
	})
}

func TestAPeerThatSendsOnlyPongsStaysAlive(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		for range 20 { // more than five minutes
			_ = c.SetReadDeadline(time.Time{})
			h := make([]byte, 2)
			if _, err := c.br.Read(h); err != nil || h[0] != fin|opPing {
				t.Fatalf("%x %v", h, err)
			}
			c.write(masked(fin|opPong, ""))
		}
		if len(p.closed) != 0 {
			t.Error(<-p.closed)
		}
		_ = c.Close()
		p.expectClosed(t, wire.CloseAbnormal)
	})
}

func TestUnsolicitedPongsAreLife(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		for range 100 {
			time.Sleep(10 * time.Second)
			c.write(masked(fin|opPong, "alive"))
		}
		synctest.Wait()
		if s := r.Stats(); len(p.closed) != 0 || s.FramesOut != 0 {
			t.Errorf("pinged in spite of traffic: %+v", s)
		}
	})
}

func TestAHeldConnectionIsNotJudged(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		r.receive = func(p *peer, m message) bool { p.messages <- m; return false }
		c, p := r.connect()
		c.write(text("hold"))
		p.expect(t, "hold")
		time.Sleep(10 * time.Minute)
		if len(p.closed) != 0 {
			t.Fatal(<-p.closed)
		}
		p.conn.Resume()
		c.write(text("again"))
		p.expect(t, "again")
		p.conn.Resume()
		go func() { _, _ = io.Copy(io.Discard, c.br) }()
		if why := <-p.closed; why.Reason != "heartbeat timeout" {
			t.Errorf("free again, it is judged again: %v", why)
		}
	})
}

func TestDeadlinesOverNetPipe(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, r *rig) {
		_, p := r.connect() // the client never reads
		begin := time.Now()
		p.conn.Close(wire.Close{Code: 4003})
		p.expectClosed(t, 4003)
		if d := time.Since(begin); d < 5*time.Second || d > 6*time.Second {
			t.Errorf("polite close took %v", d)
		}

		_, p = r.connect()
		begin = time.Now()
		p.conn.Send(textFrame("unread"))
		why := <-p.closed
		if d := time.Since(begin); why.Code != wire.CloseTooSlow || d < 30*time.Second || d > 31*time.Second {
			t.Errorf("write timeout: %v after %v", why, d)
		}

		c, p := r.connect()
		begin = time.Now()
		c.write(text("partial")[:4])
		c.expectClose(wire.ClosePolicyViolation)
		if d := time.Since(begin); d < 15*time.Second || d > 16*time.Second {
			t.Errorf("message timeout after %v", d)
		}
		c.expectEnd()
		p.expectClosed(t, wire.ClosePolicyViolation)
	})
}

func TestTLSConnectionsHaveAGoroutine(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		plain := httptest.NewUnstartedServer(nil) // for its certificate only
		plain.StartTLS()
		conf := plain.TLS
		plain.Close()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		conf.NextProtos = nil
		q := newRigOn(t, Config{Mode: r.cfg.Mode}, tls.NewListener(ln, conf))
		q.dial = func() (net.Conn, error) {
			return tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		}
		q.receive = func(p *peer, m message) bool { return p.conn.Send(textFrame(m.payload)) }
		c, p := q.connect(text("early")...)
		c.expect(fin|opText, "early")
		c.write(text(strings.Repeat("x", 50_000)))
		c.expect(fin|opText, strings.Repeat("x", 50_000))
		p.conn.Close(wire.Close{Code: 4003})
		c.expectClose(4003)
		c.write(closing(4003, ""))
		p.expectClosed(t, 4003)
		_, p = q.connect()
		p.conn.Abort()
		p.expectClosed(t, wire.CloseAbnormal)
	})
}

func TestCompressedBroadcastsAreReadable(t *testing.T) {
	eachMode(t, Config{Compression: true}, func(t *testing.T, r *rig) {
		c, p := r.connectWith(deflateOffer)
		plain, q := r.connect()
		body := strings.Repeat("compress me ", 500)
		f := textFrame(body)
		short := textFrame("short")
		for _, to := range []*peer{p, q} {
			to.conn.SendAll([]*wire.Frame{f, short, f})
		}
		got, err := c.readFrame()
		if err != nil || got.first != fin|rsv1|opText || len(got.payload) > len(body)/5 {
			t.Fatalf("%x %d %v", got.first, len(got.payload), err)
		}
		out, err := (&inflaters{}).get().inflate(got.payload, len(body))
		if err != nil || string(out) != body {
			t.Fatalf("%.20q %v", out, err)
		}
		if got, _ = c.readFrame(); string(got.payload) == "short" {
			if got, err = c.readFrame(); err != nil || got.first != fin|rsv1|opText {
				t.Fatal(err)
			}
		}
		plain.expect(fin|opText, body)
		plain.expect(fin|opText, "short")
		plain.expect(fin|opText, body)
	})
}

func TestAModeOutsideTheListIsRefused(t *testing.T) {
	if _, err := New(Config{Mode: "threads", MaxMessageBytes: -1, WriteTimeout: -1}, nil, nil); err == nil ||
		!strings.Contains(err.Error(), "TRANSPORT") || !strings.Contains(err.Error(), "MAX_MESSAGE_BYTES") || !strings.Contains(err.Error(), "WRITE_TIMEOUT") {
		t.Error(err)
	}
}
