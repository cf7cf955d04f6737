package emitterfx_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/bridge/emitter"
	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/modules/emitterfx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parts are what the module provides, and runs.
type parts struct {
	fx.In

	Listener *emitter.Listener
	Runners  []func(context.Context) `group:"runners"`
	Checks   []health.Check          `group:"checks"`
}

// assemble makes the module with a Redis; nothing is delivered in these tests.
func assemble(t *testing.T, m *redisconn.Manager, key string) parts {
	t.Helper()
	var p parts
	fxtest.New(t, fx.NopLogger, emitterfx.Module, fx.Supply(emitter.Config{Key: key}, m), fx.Provide(
		zap.NewNop,
		func() *hub.Hub { return nil },
		func() *router.Router { return nil },
		func() hub.Pacer { return nil },
		func() *policy.Live { return nil },
	), fx.Populate(&p))
	return p
}

func TestTheModuleListensAndSaysIfItCannot(t *testing.T) {
	redis := redistest.Single(t)
	p := assemble(t, redistest.Manager(t, redis.Config()), "socket.io")
	if len(p.Runners) != 1 || len(p.Checks) != 1 || !p.Checks[0].Degrades {
		t.Fatalf("%d runners, checks %+v", len(p.Runners), p.Checks)
	}
	if err := p.Checks[0].Ready(t.Context()); err == nil {
		t.Error("it is well before it has begun")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); p.Runners[0](ctx) }()
	for deadline := time.Now().Add(30 * time.Second); p.Checks[0].Ready(t.Context()) != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(p.Listener.Err())
		}
	}
	cancel()
	<-ended
}

func TestAModuleThatIsOffHasNoCheck(t *testing.T) {
	p := assemble(t, redistest.Manager(t, redistest.Single(t).Config()), emitter.Off)
	if len(p.Checks) != 0 || p.Listener.Enabled() {
		t.Errorf("%+v", p.Checks)
	}
}
