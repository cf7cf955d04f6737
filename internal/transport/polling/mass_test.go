package polling

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// TestAThousandPollingSessions holds a poll for each, answers all at once with
// one frame, and ends them.
func TestAThousandPollingSessions(t *testing.T) {
	const sessions = 1000
	r := newRig(t, Config{})
	r.client.Transport.(*http.Transport).MaxIdleConnsPerHost = sessions
	before := runtime.NumGoroutine()
	var mu sync.Mutex
	var clients []*client
	var opening sync.WaitGroup
	for range 20 {
		opening.Go(func() {
			for range sessions / 20 {
				c := r.connect()
				mu.Lock()
				clients = append(clients, c)
				mu.Unlock()
			}
		})
	}
	opening.Wait()
	answers := make(chan result, sessions)
	for _, c := range clients {
		go func() { answers <- c.get() }()
	}
	until(t, "all polls wait", func() bool {
		for _, c := range clients {
			if !r.waiting(c.sid) {
				return false
			}
		}
		return true
	})
	f := textFrame("to all")
	for _, c := range clients {
		c.conn.Send(f)
	}
	for range sessions {
		expectAnswer(t, answers, "4to all")
	}
	for _, c := range clients {
		c.conn.Close(wire.Close{Code: wire.CloseServiceRestart})
		go func() { answers <- c.get() }()
	}
	for range sessions {
		expectAnswer(t, answers, "1")
	}
	for _, c := range clients {
		c.expectClosed(t, wire.CloseServiceRestart)
	}
	if s := r.Stats(); s.Sessions != 0 || s.HeldBytes != 0 || s.Opened != sessions {
		t.Errorf("%+v", s)
	}
	r.client.CloseIdleConnections()
	until(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// nothing is a WebSocket that keeps nothing.
type nothing struct{}

func (nothing) Send(*wire.Frame) bool      { return true }
func (nothing) SendAll([]*wire.Frame) bool { return true }
func (nothing) Resume()                    {}
func (nothing) Close(wire.Close)           {}
func (nothing) Abort()                     {}

// TestMemoryOfASessionOnAWebSocket measures what a session adds to the
// connection below it.
func TestMemoryOfASessionOnAWebSocket(t *testing.T) {
	const sessions, most = 20_000, 400
	r := newRigOn(t, Config{}, ws.Config{}, &memListener{done: make(chan struct{})}, nil)
	var conn transport.Conn = nothing{}
	all := make([]*session, sessions)
	heap := liveHeap()
	for i := range all {
		e := newSession(r.Server, conn)
		if err := r.add(e); err != nil {
			t.Fatal(err)
		}
		e.open(func(transport.Conn) transport.Handler { return leanHandler{} })
		all[i] = e
	}
	each := float64(liveHeap()-heap) / sessions
	t.Logf("a session takes %.0f B (struct %d B)", each, unsafe.Sizeof(session{}))
	if each > most {
		t.Errorf("a session takes %.0f B, want at most %d", each, most)
	}
	for _, e := range all {
		e.Closed(wire.Close{})
	}
}

func liveHeap() int64 {
	time.Sleep(10 * time.Millisecond)
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkSend is one frame through a session to its WebSocket.
func BenchmarkSend(b *testing.B) {
	r := newRigOn(b, Config{}, ws.Config{}, &memListener{done: make(chan struct{})}, nil)
	var below transport.Conn = nothing{}
	var c transport.Conn = newSession(r.Server, below)
	f := textFrame("x")
	for b.Loop() {
		c.Send(f)
	}
}

// BenchmarkPoll is one message that a poll waits for, over HTTP.
func BenchmarkPoll(b *testing.B) {
	r := newRig(b, Config{})
	c := r.connect()
	f := textFrame(strings.Repeat("x", 100))
	b.ReportAllocs()
	for b.Loop() {
		c.conn.Send(f)
		if got := c.get(); got.status != http.StatusOK {
			b.Fatal(got)
		}
	}
}
