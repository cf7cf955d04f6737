package ws

import (
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/moonx-farm/ws-gateway/internal/transport"
)

// BenchmarkDeliver sends one frame of 100 bytes to 500 connections per round;
// one operation is one delivery.
func BenchmarkDeliver(b *testing.B) {
	const members = 500
	for _, mode := range modes() {
		b.Run(mode, func(b *testing.B) {
			r := newRig(b, Config{Mode: mode})
			peers := make([]*peer, members)
			for i := range peers {
				var c *raw
				c, peers[i] = r.connect()
				go func() { _, _ = io.Copy(io.Discard, c.Conn) }()
			}
			deliver(b, r, peers)
		})
	}
}

// BenchmarkDeliverDiscard is the same over sockets that swallow everything: the
// cost of queue and flusher alone.
func BenchmarkDeliverDiscard(b *testing.B) {
	r := newRig(b, Config{Mode: modes()[0]})
	peers := make([]*peer, 500)
	for i := range peers {
		c := r.newConn(&hijackWriter{nc: discardConn{}})
		c.parked, c.sock = r.poller != nil, discardSocket{}
		peers[i] = &peer{conn: c}
	}
	deliver(b, r, peers)
}

func deliver(b *testing.B, r *rig, peers []*peer) {
	f := textFrame(strings.Repeat("x", 98))
	sent := r.Stats().FramesOut
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for n < b.N {
		for _, p := range peers {
			if !p.conn.Send(f) {
				b.Fatal("refused")
			}
			n++
		}
		if err := r.Pace(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	until(b, "all frames are written", func() bool { return r.Stats().FramesOut-sent >= int64(n) })
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "deliveries/s")
}

// BenchmarkEcho is one message of 100 bytes in and out on one connection.
func BenchmarkEcho(b *testing.B) {
	for _, mode := range modes() {
		b.Run(mode, func(b *testing.B) {
			r := newRig(b, Config{Mode: mode})
			f := textFrame(strings.Repeat("x", 100))
			r.receive = func(p *peer, _ message) bool { return p.conn.Send(f) }
			c, _ := r.connect()
			msg, buf := text(strings.Repeat("x", 100)), make([]byte, 102)
			b.ReportAllocs()
			for b.Loop() {
				c.write(msg)
				if _, err := io.ReadFull(c.br, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type discardSocket struct{ netSocket }

func (discardSocket) write(segs [][]byte) (n int, err error) {
	for _, p := range segs {
		n += len(p)
	}
	return n, nil
}

type discardConn struct{ net.Conn }

// TestMemoryPerIdleConnection measures; WS_IDLE sets the number of connections
// (both ends are in this process: the client's are bare descriptors).
func TestMemoryPerIdleConnection(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("WS_IDLE"))
	budget := n == 0
	if budget {
		n = 500
	}
	r := newRig(t, Config{})
	if r.Mode() != ModeParked {
		t.Skip("not parked")
	}
	r.lean = make(chan transport.Conn, 1)
	clients := make([]fdSocket, 0, n+100)
	conns := make([]transport.Conn, 0, n)
	defer func() {
		for i := range clients {
			clients[i].free()
		}
	}()
	head := make([]byte, 512)
	dial := func() transport.Conn {
		nc, err := r.dial()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = nc.Write([]byte(upgrade + "\r\n" + string(text("hello"))))
		if _, err := nc.Read(head); err != nil {
			t.Fatal(err)
		}
		fd, _ := r.poller.detach(nc)
		clients = append(clients, fd)
		return take(t, r.lean)
	}
	for range 100 { // warm pools up
		_ = dial()
	}
	heap0, rss0 := memory()
	for range n {
		c := dial()
		c.Send(textFrame("welcome"))
		conns = append(conns, c)
	}
	until(t, "all is said", func() bool { s := r.Stats(); return s.FramesOut >= int64(n) && s.MessagesIn >= int64(n) })
	time.Sleep(50 * time.Millisecond) // the HTTP server lets go
	heap1, rss1 := memory()
	own, rss := float64(heap1-heap0)/float64(n), float64(rss1-rss0)/float64(n)
	t.Logf("%d idle connections: live heap %.0f B, RSS %.0f B each (struct %d B)", n, own, rss, unsafe.Sizeof(conn{}))
	if budget && own > 1536 {
		t.Errorf("an idle connection takes %.0f B of live heap", own)
	}
	runtime.KeepAlive(conns)
}

func memory() (heap, rss int64) {
	time.Sleep(10 * time.Millisecond)
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(b))
	if len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		rss = pages * int64(os.Getpagesize())
	}
	return int64(m.HeapAlloc), rss
}
