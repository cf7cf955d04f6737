package membroker

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a broker for as long as the test runs.
func start(t testing.TB, cfg Config, sink broker.Sink, opts ...Option) *Broker {
	t.Helper()
	b := New(cfg, opts...)
	b.Start(sink)
	t.Cleanup(func() { shutdown(t, b) })
	return b
}

// unswept is a broker without its sweeper, for tests that last days: every tick
// costs.
func unswept(t testing.TB, cfg Config, sink broker.Sink) *Broker {
	t.Helper()
	b := New(cfg)
	b.started, b.sink = true, sink
	b.running.Store(int64(b.workers))
	for range b.workers {
		go b.serve()
	}
	t.Cleanup(func() { shutdown(t, b) })
	return b
}

// sweep does once what the sweeper does.
func (b *Broker) sweep() {
	for i := range b.shards {
		b.shards[i].sweep(time.Now())
	}
}

func shutdown(t testing.TB, b *Broker) {
	t.Helper()
	if err := b.Shutdown(context.Background()); err != nil {
		t.Errorf("shutting down: %v", err)
	}
}

func open(t *testing.T, s brokertest.Settings) func(broker.Sink) broker.Broker {
	return func(sink broker.Sink) broker.Broker {
		return start(t, Config{IdempotencyTTL: s.IdempotencyTTL, HandoffBytes: s.HandoffBytes}, sink)
	}
}

func TestTheBrokerPassesTheSuite(t *testing.T) {
	brokertest.Run(t, brokertest.Harness{Open: open, Bubble: true})
}

// forgetful loses a room's history every now and then, as it does when its
// memory is short.
type forgetful struct{ *Broker }

func (f forgetful) Publish(ctx context.Context, p broker.Publication) (wire.Position, error) {
	if rand.IntN(15) == 0 {
		f.lose(p.Room)
	}
	return f.Broker.Publish(ctx, p)
}

func (b *Broker) lose(name string) {
	s, _ := b.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rooms[name]; r != nil && r.kept {
		s.forget(r, "history_lost")
	}
}

func TestReadersOfABrokerThatLosesHistoryAreTold(t *testing.T) {
	brokertest.RunLossy(t, brokertest.Harness{
		Open: func(t *testing.T, s brokertest.Settings) func(broker.Sink) broker.Broker {
			start := open(t, s)
			return func(sink broker.Sink) broker.Broker { return forgetful{start(sink).(*Broker)} }
		},
	})
}
