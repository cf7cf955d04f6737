package redistest

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// Manager starts a manager with a prefix of its own, unless cfg has one, and
// waits until it is ready. It is closed when the test ends.
func Manager(t testing.TB, cfg redisconn.Config) *redisconn.Manager {
	t.Helper()
	m := NewManager(t, cfg)
	m.Start()
	WaitReady(t, m)
	return m
}

// NewManager makes a manager as Manager does, without starting it: watchers are
// added before Start.
func NewManager(t testing.TB, cfg redisconn.Config) *redisconn.Manager {
	t.Helper()
	if cfg.Prefix == "" {
		cfg.Prefix = strings.ToLower(rand.Text()[:8]) + ":"
	}
	m, err := redisconn.New(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// WaitReady waits until a manager is ready.
func WaitReady(t testing.TB, m *redisconn.Manager) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := m.Ready(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the manager is not ready: %v", err)
		}
	}
}
