package brokertest_test

import (
	"context"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open starts an embedded broker.
func open(t *testing.T, s brokertest.Settings, sink broker.Sink) *membroker.Broker {
	b := membroker.New(membroker.Config{IdempotencyTTL: s.IdempotencyTTL, HandoffBytes: s.HandoffBytes})
	b.Start(sink)
	t.Cleanup(func() {
		if err := b.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// hub is the Sink of a broker that stands for the store of several nodes: it
// hands over to all of them.
type hub struct {
	mu    sync.RWMutex
	nodes []broker.Sink // guarded by mu
}

func (h *hub) add(s broker.Sink) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nodes = append(h.nodes, s)
}

func (h *hub) all() []broker.Sink {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.nodes
}

func (h *hub) Deliver(room string, pubs []*wire.Publication) {
	for _, s := range h.all() {
		s.Deliver(room, pubs)
	}
}

func (h *hub) Gap(room string, gap wire.Gap) {
	for _, s := range h.all() {
		s.Gap(room, gap)
	}
}

func TestASoundBrokerOfTwoNodesPasses(t *testing.T) {
	brokertest.Run(t, brokertest.Harness{
		Bubble: true,
		Nodes:  2,
		Open: func(t *testing.T, s brokertest.Settings) func(broker.Sink) broker.Broker {
			store := &hub{}
			b := open(t, s, store)
			return func(sink broker.Sink) broker.Broker {
				store.add(sink)
				return b
			}
		},
	})
}
