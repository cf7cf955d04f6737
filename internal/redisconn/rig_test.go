package redisconn_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a manager whose watcher notes what it is told.
type rig struct {
	*redisconn.Manager

	t    *testing.T
	logs *observer.ObservedLogs

	mu           sync.Mutex
	replications []*redisconn.Shard // guarded by mu
	topologies   int                // guarded by mu
}

func newRig(t *testing.T, cfg redisconn.Config) *rig {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	if cfg.Prefix == "" {
		cfg.Prefix = "test:"
	}
	m, err := redisconn.New(cfg, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	r := &rig{Manager: m, t: t, logs: logs}
	m.Watch(r)
	m.Start()
	return r
}

func (r *rig) ReplicationChanged(s *redisconn.Shard) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replications = append(r.replications, s)
}

func (r *rig) TopologyChanged() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.topologies++
}

// told is how often the watcher was told of replication, and of which shard
// last.
func (r *rig) told() (int, *redisconn.Shard) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.replications)
	if n == 0 {
		return 0, nil
	}
	return n, r.replications[n-1]
}

func (r *rig) topologyChanges() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.topologies
}

// ready is what Ready says, "" if Redis can be used.
func (r *rig) ready() string {
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
	defer cancel()
	if err := r.Ready(ctx); err != nil {
		return err.Error()
	}
	return ""
}

// looked waits until a shard was looked at twice more: the first look may have
// been under way.
func (r *rig) looked(s *redisconn.Shard) {
	r.t.Helper()
	for range 2 {
		before := redisconn.Seen(s)
		r.Refresh()
		r.until("a look", func() bool { return redisconn.Seen(s) != before })
	}
}

// until waits for a condition.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: never; ready: %q", what, r.ready())
		}
	}
}

func (r *rig) wait() *rig {
	r.t.Helper()
	redistest.WaitReady(r.t, r.Manager)
	return r
}
