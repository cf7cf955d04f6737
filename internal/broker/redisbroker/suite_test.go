package redisbroker

import (
	"context"
	"crypto/rand"
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// prefix returns one that nobody else has.
func prefix() string { return strings.ToLower(rand.Text()[:8]) + ":" }

// atOnce is how many tests run at once: most of their time they wait for time to
// pass, or for servers to start.
const atOnce = 16

func TestMain(m *testing.M) {
	// The command line is parsed later, and has the last word.
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// start starts a broker, with a manager of its own, for as long as the test
// runs.
func start(t testing.TB, redis redisconn.Config, cfg Config, sink broker.Sink) *Broker {
	t.Helper()
	m := redistest.NewManager(t, redis)
	b := New(m, cfg, zap.NewNop())
	m.Start()
	redistest.WaitReady(t, m)
	b.Start(sink)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			t.Errorf("shutting down: %v", err)
		}
	})
	return b
}

// opener opens a store on a Redis, each under a prefix of its own.
func opener(redis redisconn.Config) func(t *testing.T, s brokertest.Settings) func(broker.Sink) broker.Broker {
	return func(t *testing.T, s brokertest.Settings) func(broker.Sink) broker.Broker {
		own := redis
		own.Prefix = prefix()
		return func(sink broker.Sink) broker.Broker {
			return start(t, own, Config{
				Log: roomlog.Config{IdempotencyTTL: s.IdempotencyTTL}, HandoffBytes: s.HandoffBytes,
			}, sink)
		}
	}
}

const (
	// some is how many messages the concurrent tests publish on a single server,
	// unless GATEWAY_LONG=1 asks for a million.
	some = 4000
	// few is how many they publish where the single server has had more: as many
	// of each publisher of the suite, of which there are 16.
	few = 2400
)

func TestTheBrokerPassesTheSuiteOnASingleServer(t *testing.T) {
	t.Parallel()
	redis := redistest.Single(t).Config()
	messages := some
	if os.Getenv("GATEWAY_LONG") != "" {
		messages = 0 // all
	}
	brokertest.Run(t, brokertest.Harness{Nodes: 2, Open: opener(redis), Messages: messages})
}

func TestTheBrokerPassesTheSuiteOnACluster(t *testing.T) {
	t.Parallel()
	redis := redistest.ClusterConfig(redistest.Cluster(t))
	brokertest.Run(t, brokertest.Harness{Nodes: 2, Open: opener(redis), Messages: few})
}

func TestTheBrokerPassesTheSuiteOnASentinelSet(t *testing.T) {
	t.Parallel()
	redis := redistest.SentinelSet(t).Config()
	brokertest.Run(t, brokertest.Harness{Nodes: 2, Open: opener(redis), Messages: few})
}
