package redisfx_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/modules/redisfx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheGatewayStartsWithoutRedisAndIsReadyWithIt(t *testing.T) {
	s := redistest.Single(t)
	s.Kill()
	var checks []health.Check
	app := fxtest.New(t, fx.NopLogger, redisfx.Module, fx.Supply(s.Config(), zap.NewNop()),
		fx.Invoke(fx.Annotate(func(all []health.Check) { checks = all }, fx.ParamTags(`group:"checks"`)), func(*redisconn.Manager) {}))
	app.RequireStart()
	defer app.RequireStop()
	if len(checks) != 1 || checks[0].Name != "redis" || checks[0].Degrades {
		t.Fatalf("checks: %+v", checks)
	}
	ready := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return checks[0].Ready(ctx)
	}
	if err := ready(); err != health.Reason("redis is away") { //nolint:errorlint // the words themselves, which everybody may read
		t.Errorf("without Redis: %v", err)
	}
	s.Restart()
	for deadline := time.Now().Add(30 * time.Second); ready() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(ready())
		}
	}
}
