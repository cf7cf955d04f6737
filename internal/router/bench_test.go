package router

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// discard connects a user whose frames are counted only.
func (r *rig) discard(user string) *pipe.Client {
	return pipe.NewDiscard(func(c transport.Conn) transport.Handler {
		return r.router.Open(c, session.Hello{Codec: jsonv1.Codec{}, Identity: &auth.Identity{UserID: user}})
	})
}

func BenchmarkPing(b *testing.B) {
	r := start(b, options{})
	defer r.stop()
	c := r.discard("ann")
	message := []byte(ping)
	b.ReportAllocs()
	for b.Loop() {
		c.Receive(wire.Text, message)
	}
}

// BenchmarkPublish is a publish of a client to a room of its own, up to the
// reply and the own copy, with history and without.
func BenchmarkPublish(b *testing.B) {
	for _, room := range []string{"open:a", "live:a"} {
		b.Run(room, func(b *testing.B) {
			r := start(b, options{})
			defer r.stop()
			c := r.discard("ann")
			c.Text(join(room))
			message := []byte(publish(1, room, "e", ""))
			const ahead = 100
			done := c.Count()
			b.ReportAllocs()
			for b.Loop() {
				c.Receive(wire.Text, message)
				for done += 2; done-c.Count() > 2*ahead; {
					runtime.Gosched() // the reply and the copy of an earlier one
				}
			}
			for done > c.Count() {
				runtime.Gosched()
			}
		})
	}
}

// BenchmarkJoinAndLeave is what a room costs that comes and goes.
func BenchmarkJoinAndLeave(b *testing.B) {
	for name, others := range map[string]int{"alone": 0, "with 1000 others": 1000} {
		b.Run(name, func(b *testing.B) {
			r := start(b, options{})
			defer r.stop()
			for n := range others {
				r.discard(fmt.Sprint("other", n)).Text(join("open:a"))
			}
			c := r.discard("ann")
			in, out := []byte(join("open:a")), []byte(`{"event":"leave_room","data":{"room":"open:a"}}`)
			b.ReportAllocs()
			for b.Loop() {
				c.Receive(wire.Text, in)
				c.Receive(wire.Text, out)
			}
		})
	}
}

// idle is a handler of nothing.
type idle struct{}

func (idle) Receive(wire.Op, []byte) bool { return true }
func (idle) Closed(wire.Close)            {}

// BenchmarkIdleSession reports the heap that one idle session takes: identity,
// its user's room and a seat in one more room of a hundred, without the
// connection.
func BenchmarkIdleSession(b *testing.B) {
	const n = 100_000
	pipes := heapPer(n, func(int) *pipe.Client {
		return pipe.NewDiscard(func(transport.Conn) transport.Handler { return idle{} })
	})
	for b.Loop() {
		r := start(b, options{})
		bytes := heapPer(n, func(i int) *pipe.Client {
			c := r.discard(fmt.Sprintf("user-%06d", i))
			c.Text(join(fmt.Sprintf("live:%d", i/100)))
			return c
		})
		b.ReportMetric(bytes-pipes, "B/session")
		r.stop()
	}
	b.ReportMetric(pipes, "B/pipe")
}

// heapPer is the heap that each of n connections takes.
func heapPer(n int, open func(int) *pipe.Client) float64 {
	all := make([]*pipe.Client, n)
	before := heap()
	for i := range all {
		all[i] = open(i)
	}
	time.Sleep(10 * time.Millisecond) // what is pooled goes with the second collection
	after := heap()
	runtime.KeepAlive(all)
	return float64(after-before) / float64(n)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
