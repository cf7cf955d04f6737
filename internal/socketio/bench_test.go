package socketio

import (
	"context"
	"runtime"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// still is an engine, and a session, that does nothing.
type still struct{ resumed chan struct{} }

func (*still) Send(*wire.Frame) bool        { return true }
func (*still) SendAll([]*wire.Frame) bool   { return true }
func (s *still) Resume()                    { s.resumed <- struct{}{} }
func (*still) Close(wire.Close)             {}
func (*still) Abort()                       {}
func (*still) Receive(wire.Op, []byte) bool { return true }
func (*still) Closed(wire.Close)            {}

// everybody is an admission that lets everybody in.
type everybody struct{ session transport.Handler }

func (e everybody) Admit(context.Context, Connect) (Admitted, error) {
	return Admitted{Open: func(transport.Conn) transport.Handler { return e.session }}, nil
}

// served is a server that admits everybody to a session that does nothing.
func served(tb testing.TB) (*Server, *still) {
	w := wheel.New()
	w.Start()
	s := New(Config{}, w, zap.NewNop())
	e := &still{make(chan struct{}, 1)}
	s.UseAdmission(everybody{e})
	tb.Cleanup(func() { s.Shutdown(); w.Stop() })
	return s, e
}

// BenchmarkMemory tells what a connection with one socket costs in the heap,
// without what it stands on and without its session.
func BenchmarkMemory(b *testing.B) {
	s, e := served(b)
	const n = 20_000
	for b.Loop() {
		all := make([]transport.Handler, 0, n)
		before := heap()
		for range n {
			h := s.Open(e, Handshake{})
			if !h.Receive(wire.Text, []byte("0")) {
				<-e.resumed
			}
			all = append(all, h)
		}
		b.ReportMetric(float64(heap()-before)/n, "B/conn")
		for _, h := range all {
			h.Closed(wire.Close{})
		}
	}
}

func heap() int64 {
	runtime.GC()
	time.Sleep(10 * time.Millisecond) // for finalisers and goroutines that end
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkReceive(b *testing.B) {
	s, e := served(b)
	h := s.Open(e, Handshake{})
	if !h.Receive(wire.Text, []byte("0")) {
		<-e.resumed
	}
	event := []byte(`21["publish",{"room":"lobby","event":"chat","data":{"text":"hello"}}]`)
	b.ReportAllocs()
	for b.Loop() {
		h.Receive(wire.Text, event)
	}
	h.Closed(wire.Close{})
}

func FuzzReceive(f *testing.F) {
	for _, m := range []string{"0", `0/chat,{"token":"t"}`, `2["a",1]`, `21/chat,["a"]`, "1", "1/chat,", `31[]`, `51-["a",{"_placeholder":true,"num":0}]`, `61-1[]`, `4{}`, "/", "\x00"} {
		f.Add(m, m, []byte("x"))
	}
	s, e := served(f)
	f.Fuzz(func(_ *testing.T, first, second string, data []byte) {
		h := s.Open(e, Handshake{})
		for _, m := range []string{"0", first, second} {
			if !h.Receive(wire.Text, []byte(m)) {
				<-e.resumed
			}
			h.Receive(wire.Binary, data)
		}
		h.Closed(wire.Close{})
	})
}
