package membroker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// nowhere is a Sink that takes everything at once.
type nowhere struct{}

func (nowhere) Deliver(string, []*wire.Publication) {}
func (nowhere) Gap(string, wire.Gap)                {}

var hundred = broker.Retention{Size: 100, Age: 5 * time.Minute} // read only

func BenchmarkPublish(b *testing.B) {
	data := strings.Repeat("x", 100)
	for name, keep := range map[string]broker.Retention{"without history": {}, "with history": hundred} {
		b.Run(name, func(b *testing.B) {
			br, p := start(b, Config{}, nowhere{}), draft("room", data, keep)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := br.Publish(context.Background(), p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("with history and nonce", func(b *testing.B) {
		br, p := start(b, Config{}, nowhere{}), draft("room", data, hundred)
		b.ReportAllocs()
		for b.Loop() {
			p.Position.Nonce++
			if _, err := br.Publish(context.Background(), p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("with history and key", func(b *testing.B) {
		br, p := start(b, Config{}, nowhere{}), draft("room", data, hundred)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			p.IdempotencyKey = strconv.Itoa(i)
			if _, err := br.Publish(context.Background(), p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("repeated by key", func(b *testing.B) {
		br, p := start(b, Config{}, nowhere{}), draft("room", data, hundred)
		p.IdempotencyKey = "key"
		b.ReportAllocs()
		for b.Loop() {
			if _, err := br.Publish(context.Background(), p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPublishInParallel(b *testing.B) {
	data := strings.Repeat("x", 100)
	for _, rooms := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprint(rooms, " rooms"), func(b *testing.B) {
			br := start(b, Config{}, nowhere{})
			names := make([]string, rooms)
			for i := range names {
				names[i] = fmt.Sprint("room-", i)
			}
			var next atomic.Uint64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				p := draft("", data, hundred)
				for pb.Next() {
					p.Room = names[next.Add(1)%uint64(rooms)]
					if _, err := br.Publish(context.Background(), p); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkHistory(b *testing.B) {
	br := start(b, Config{}, nowhere{})
	var middle wire.Position
	for i := range 200 {
		if pos := say(b, br, "room", strings.Repeat("x", 100), hundred); i == 189 {
			middle = pos
		}
	}
	for _, c := range []struct {
		name  string
		room  string
		since wire.Position
		limit int
		want  int
	}{
		{"position alone", "room", wire.Position{}, 0, 0},
		{"resume of 10", "room", middle, broker.NoLimit, 10},
		{"all 100", "room", wire.Position{}, broker.NoLimit, 100},
		{"room without history", "other", wire.Position{}, 0, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, err := br.History(context.Background(), c.room, c.since, c.limit)
				if err != nil || len(page.Publications) != c.want {
					b.Fatal(len(page.Publications), err)
				}
			}
		})
	}
}
