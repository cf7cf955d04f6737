//go:build linux

package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a Handler that keeps what it sees.
type recorder struct {
	mu     sync.Mutex
	msgs   []string
	closed []Closure
	l      *Loop
}

func (r *recorder) Attach(l *Loop)                   { r.l = l }
func (r *recorder) Token(dst []byte, i int32) []byte { return fmt.Appendf(dst, "u%d", i) }
func (r *recorder) Opened(c *Conn)                   { r.l.SendText(c, []byte("hello")) }
func (r *recorder) Tick(int64) int64                 { return 0 }
func (r *recorder) Message(_ *Conn, p []byte, _ int64) {
	r.mu.Lock()
	r.msgs = append(r.msgs, string(p))
	r.mu.Unlock()
}
func (r *recorder) Closed(_ *Conn, why Closure) {
	r.mu.Lock()
	r.closed = append(r.closed, why)
	r.mu.Unlock()
}

// serve accepts one connection, answers its handshake and lets f go on.
func serve(t *testing.T, f func(c net.Conn, in *bufio.Reader)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		in := bufio.NewReader(c)
		req, err := http.ReadRequest(in)
		if err != nil || req.Header.Get("Authorization") != "Bearer u0" {
			t.Errorf("request %v: %v", req, err)
			return
		}
		_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			frame.AcceptKey(req.Header.Get("Sec-WebSocket-Key")))
		f(c, in)
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// drive connects one connection and waits until it has ended.
func drive(t *testing.T, addr netip.AddrPort) *recorder {
	t.Helper()
	r := &recorder{}
	g, err := New(&Config{Targets: []Target{{addr, frame.NewOpening(addr.String(), "/", "")}}, Conns: 1, Threads: 1, Ramp: 1000, InFlight: 1,
		Sources: []netip.Addr{netip.MustParseAddr("127.0.0.2")}, Clock: NewClock()}, func(int) Handler { return r })
	if err != nil {
		t.Fatal(err)
	}
	g.Dial()
	deadline := time.Now().Add(10 * time.Second)
	for done := false; !done && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		r.mu.Lock()
		done = len(r.closed) > 0
		r.mu.Unlock()
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	if len(r.closed) != 1 {
		t.Fatalf("closed %d times", len(r.closed))
	}
	return r
}

func raw(first byte, payload string) []byte {
	n := len(payload)
	switch {
	case n < 126:
		return append([]byte{first, byte(n)}, payload...)
	case n < 1<<16:
		return append([]byte{first, 126, byte(n >> 8), byte(n)}, payload...)
	}
	return append(binary.BigEndian.AppendUint64([]byte{first, 127}, uint64(n)), payload...)
}

// clientFrame reads one masked frame.
func clientFrame(in *bufio.Reader) (first byte, payload []byte, err error) {
	var head [6]byte
	for i := range head {
		if head[i], err = in.ReadByte(); err != nil {
			return 0, nil, err
		}
	}
	payload = make([]byte, head[1]&0x7F) // tests send short ones
	for i := range payload {
		if payload[i], err = in.ReadByte(); err != nil {
			return 0, nil, err
		}
		payload[i] ^= head[2+i%4]
	}
	return head[0], payload, nil
}

func TestMessagesCutAnywhereArriveWhole(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var stream []byte
	var want []string
	for i := range 300 {
		msg := strings.Repeat(string(rune('a'+i%26)), []int{0, 5, 125, 126, 1000, 70_000}[min(rnd.IntN(40), 5)])
		want = append(want, msg)
		switch rnd.IntN(4) {
		case 0:
			cut := rnd.IntN(len(msg) + 1)
			stream = append(stream, raw(frame.Text, msg[:cut])...)
			stream = append(stream, raw(frame.Fin|frame.Ping, "between")...)
			stream = append(stream, raw(frame.Fin|frame.Continuation, msg[cut:])...)
		default:
			stream = append(stream, raw(frame.Fin|frame.Text, msg)...)
		}
	}
	stream = append(stream, raw(frame.Fin|frame.Text, strings.Repeat("z", 3*readSize))...)
	want = append(want, strings.Repeat("z", 3*readSize))
	stream = append(stream, raw(frame.Fin|frame.Close, "\x03\xf4bye")...)
	var pongs, closes int // written until answered is closed
	answered := make(chan struct{})
	addr := serve(t, func(c net.Conn, in *bufio.Reader) {
		go func() {
			defer close(answered)
			for {
				first, payload, err := clientFrame(in)
				if err != nil {
					return
				}
				switch {
				case first == frame.Fin|frame.Pong && string(payload) == "between":
					pongs++
				case first == frame.Fin|frame.Close && bytes.Equal(payload, []byte{3, 0xF4}):
					closes++
				}
			}
		}()
		for b := stream; len(b) > 0; {
			n := min(1+rnd.IntN(9000), len(b))
			_, _ = c.Write(b[:n])
			b = b[n:]
			if rnd.IntN(4) == 0 {
				time.Sleep(200 * time.Microsecond)
			}
		}
		<-answered
	})
	r := drive(t, addr)
	if len(r.msgs) != len(want) {
		t.Fatalf("%d messages, want %d (%+v)", len(r.msgs), len(want), r.closed)
	}
	for i := range want {
		if r.msgs[i] != want[i] {
			t.Fatalf("message %d differs", i)
		}
	}
	why := r.closed[0]
	if why.Code != 1012 || why.Reason != "bye" || why.Err != nil || !why.Opened || why.Ours {
		t.Errorf("%+v", why)
	}
	<-answered
	if pongs < 30 || closes != 1 {
		t.Errorf("%d pongs, %d close frames", pongs, closes)
	}
}

func TestFaultsEndTheConnection(t *testing.T) {
	for name, in := range map[string]string{
		"masked":   "\x81\x80\x00\x00\x00\x00",
		"binary":   "\x82\x01x",
		"out of":   "\x01\x01a\x81\x01b",
		"EOF":      "",
		"reserved": "\xc1\x00",
	} {
		t.Run(name, func(t *testing.T) {
			r := drive(t, serve(t, func(c net.Conn, in2 *bufio.Reader) {
				_, _, _ = clientFrame(in2) // hello: else its loss may reset the connection
				_, _ = c.Write([]byte(in))
				if in != "" {
					_, _ = in2.ReadByte()
				}
			}))
			if err := r.closed[0].Err; err == nil || !strings.Contains(err.Error(), name) || r.closed[0].Code != 1006 {
				t.Errorf("%+v", r.closed[0])
			}
		})
	}
}

func TestAConnectionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 40 {
		t.Errorf("%d bytes", n)
	}
}
