package redisbroker

import (
	"context"
	"hash/maphash"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// tally is a Sink that counts.
type tally struct{ pubs, gaps atomic.Int64 }

func (c *tally) Deliver(_ string, pubs []*wire.Publication) { c.pubs.Add(int64(len(pubs))) }
func (c *tally) Gap(string, wire.Gap)                       { c.gaps.Add(1) }

// From one node's Publish to another one's Sink, through Redis, with history on.
func BenchmarkPublishAndDeliver(b *testing.B) {
	for _, rooms := range []int{1, 1000} {
		b.Run(strconv.Itoa(rooms)+" rooms", func(b *testing.B) {
			at := redistest.Single(b).Config()
			at.Prefix = prefix()
			sink := &tally{}
			here, there := start(b, at, Config{}, &tally{}), start(b, at, Config{}, sink)
			names := make([]string, rooms)
			for i := range names {
				names[i] = "room-" + strconv.Itoa(i)
				if err := there.Subscribe(b.Context(), names[i]); err != nil {
					b.Fatal(err)
				}
				if _, err := there.History(b.Context(), names[i], wire.Position{}, 0); err != nil {
					b.Fatal(err)
				}
			}
			data := []byte(`"` + strings.Repeat("x", 100) + `"`)
			var next atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(500)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p := broker.Publication{Retention: broker.Retention{Size: 100, Age: time.Hour}}
					p.Room, p.Event, p.Data = names[int(next.Add(1))%rooms], "said", data
					if _, err := here.Publish(context.Background(), p); err != nil {
						b.Error(err)
					}
				}
			})
			for int(sink.pubs.Load()) < b.N {
				time.Sleep(100 * time.Microsecond)
			}
			b.StopTimer()
			if n := sink.gaps.Load(); n > 0 || int(sink.pubs.Load()) != b.N {
				b.Errorf("%d delivered of %d, %d gaps", sink.pubs.Load(), b.N, n)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}

// What one message costs between the connection and the hand-off queue.
func BenchmarkArrive(b *testing.B) {
	r := bench(wire.Position{})
	r.behind = false
	br := r.b
	br.log = zap.NewNop()
	br.seed = maphash.MakeSeed()
	for i := range br.parts {
		br.parts[i].rooms = map[string]*room{}
	}
	br.part("room").rooms["room"] = r
	payload := []byte("1P abcdef123456 1 7 0 1700000000000\n\x01\x00\x04said\x03ann\x00\x00\x00" + `"` + strings.Repeat("x", 100) + `"`)
	name := []byte("room")
	b.ReportAllocs()
	for b.Loop() {
		r.cursor = cursor{}
		br.arrive(nil, name, payload)
		r.queue.Pop()
		r.pending = 0
	}
	if br.count.malformed.Load() > 0 {
		b.Fatal("malformed")
	}
}
