package router

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// connections is how many BenchmarkManyConnections opens.
var connections = flag.Int("connections", 0, "connections of BenchmarkManyConnections, such as 1000000; 0: it is left out")

// light is a connection in memory that counts what is sent to it, and has a
// heartbeat.
type light struct {
	crowd *crowd
	timer wheel.Timer
}

var _ transport.Conn = (*light)(nil)

// crowd is what all of them share.
type crowd struct {
	wheel    *wheel.Wheel
	interval time.Duration
	sent     atomic.Int64 // frames
	beats    atomic.Int64
	handlers []transport.Handler
}

func (l *light) Send(*wire.Frame) bool { l.crowd.sent.Add(1); return true }
func (l *light) SendAll(fs []*wire.Frame) bool {
	l.crowd.sent.Add(int64(len(fs)))
	return true
}
func (l *light) Resume()          {}
func (l *light) Close(wire.Close) {}
func (l *light) Abort()           {}

// Expired is one heartbeat: the next is due an interval later.
func (l *light) Expired() {
	l.crowd.beats.Add(1)
	l.crowd.wheel.Schedule(&l.timer, l.crowd.interval, l)
}

// BenchmarkManyConnections is one large process: a million connections in
// memory, each an authenticated user with a room of its own and a heartbeat
// every 25 s. It reports the heap that one takes, without its socket; the CPU
// time of all heartbeats; and the time of a publication to everyone, to a room
// of 1,000 and to one user, through the embedded broker. It runs when asked for
// only, since it takes 3 GB and a minute:
//
//	go test -run '^$' -bench ManyConnections -benchtime 20x ./internal/router -connections 1000000
func BenchmarkManyConnections(b *testing.B) {
	if *connections == 0 {
		b.Skip("-connections says how many")
	}
	r := start(b, options{})
	defer r.stop()
	n := *connections
	c := &crowd{wheel: r.wheel, interval: 25 * time.Second, handlers: make([]transport.Handler, n)}
	before, begin := heap(), cpuTime()
	for i := range n {
		l := &light{crowd: c}
		c.handlers[i] = r.router.Open(l, session.Hello{Codec: jsonv1.Codec{}, Identity: &auth.Identity{UserID: fmt.Sprintf("user-%07d", i)}})
		c.wheel.Schedule(&l.timer, c.interval*time.Duration(i)/time.Duration(n), l) // spread over the interval
		if i < 1000 {
			c.handlers[i].Receive(wire.Text, []byte(join("live:thousand")))
		}
	}
	opened := cpuTime() - begin
	perConnection := float64(heap()-before) / float64(n)
	b.Run("idle", func(b *testing.B) { c.idle(b, perConnection, opened) })
	b.Run("to everyone", func(b *testing.B) {
		c.publish(b, n, func(o Outgoing) error { return r.router.SendEveryone(b.Context(), o) })
	})
	b.Run("to a room of 1000", func(b *testing.B) {
		c.publish(b, min(n, 1000), func(o Outgoing) error { return send(r.router.SendRoom(b.Context(), "live:thousand", o)) })
	})
	b.Run("to a user", func(b *testing.B) {
		user := 0
		c.publish(b, 1, func(o Outgoing) error {
			user = (user + 7919) % n
			return send(r.router.SendUser(b.Context(), fmt.Sprintf("user-%07d", user), o))
		})
	})
	runtime.KeepAlive(c)
}

func send(_ wire.Position, err error) error { return err }

// idle lets heartbeats come for a while.
func (c *crowd) idle(b *testing.B, perConnection float64, opened time.Duration) {
	for b.Loop() {
		beats, cpu, begin := c.beats.Load(), cpuTime(), time.Now()
		time.Sleep(5 * time.Second)
		span := time.Since(begin)
		cpu, beats = cpuTime()-cpu, c.beats.Load()-beats
		b.ReportMetric(float64(beats)/span.Seconds(), "heartbeats/s")
		b.ReportMetric(100*cpu.Seconds()/span.Seconds(), "%-of-a-core")
	}
	b.ReportMetric(perConnection, "B/connection")
	b.ReportMetric(float64(opened.Nanoseconds())/float64(len(c.handlers)), "CPU-ns/open")
}

// publish awaits each publication at all that get it.
func (c *crowd) publish(b *testing.B, receivers int, send func(Outgoing) error) {
	o := Outgoing{Event: "news", Data: []byte(`{"text":"all that one hundred bytes can say, and a little more than that, to everybody here"}`)}
	deliveries := 0
	begin := time.Now()
	for b.Loop() {
		want := c.sent.Load() + int64(receivers)
		if err := send(o); err != nil {
			b.Fatal(err)
		}
		for c.sent.Load() < want {
			runtime.Gosched()
		}
		deliveries += receivers
	}
	b.ReportMetric(float64(time.Since(begin).Nanoseconds())/float64(deliveries), "ns/delivery")
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestTheCrowdOfTheBenchmarkGetsWhatIsPublished keeps the benchmark honest.
func TestTheCrowdOfTheBenchmarkGetsWhatIsPublished(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		c := &crowd{wheel: r.wheel, interval: time.Second}
		l := &light{crowd: c}
		h := r.router.Open(l, session.Hello{Codec: jsonv1.Codec{}, Identity: &auth.Identity{UserID: "ann"}})
		c.wheel.Schedule(&l.timer, c.interval, l)
		greetings := c.sent.Load()
		if err := r.router.SendEveryone(context.Background(), Outgoing{Event: "news", Data: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		if err := send(r.router.SendUser(context.Background(), "ann", Outgoing{Event: "news", Data: []byte("2")})); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3500 * time.Millisecond)
		if got := c.sent.Load() - greetings; got != 2 || c.beats.Load() != 3 {
			t.Errorf("%d frames and %d heartbeats", got, c.beats.Load())
		}
		h.Closed(wire.Close{Code: wire.CloseAbnormal})
		c.wheel.Cancel(&l.timer)
	})
}
