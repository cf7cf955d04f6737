package streams

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// counter is a gateway that counts.
type counter struct {
	gateway
	n    int
	want int
	all  chan struct{}
}

func (c *counter) SendRoom(context.Context, string, router.Outgoing) (wire.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; c.n == c.want {
		close(c.all)
	}
	return wire.Position{}, nil
}

// BenchmarkCommands reads, executes and acknowledges publications to 100 rooms,
// with a gateway that does nothing.
func BenchmarkCommands(b *testing.B) {
	server := redistest.Single(b)
	m := redistest.Manager(b, server.Config())
	cfg := config()
	cfg.Lease = 5 * time.Second
	g := &counter{want: b.N, all: make(chan struct{})}
	c := New(cfg, Parts{Redis: m, Publisher: g, People: &g.gateway, Log: nop()})
	pipe := m.Client().Pipeline()
	for n := range b.N {
		pipe.XAdd(b.Context(), &redis.XAddArgs{Stream: c.keys.stream, Values: []string{
			"op", "publish", "room", fmt.Sprint("room-", n%100), "event", "e", "data", `{"text":"a message of about a hundred bytes, as most are"}`}})
		if n%1000 == 999 || n == b.N-1 {
			if _, err := pipe.Exec(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ResetTimer()
	c.Start()
	<-g.all
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
	b.StopTimer()
	if err := c.Shutdown(b.Context()); err != nil {
		b.Error(err)
	}
}
