// Package tracingfx provides the tracer.
package tracingfx

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/tracing"
)

// Module provides a *tracing.Tracer, nil when traces are off. Whoever makes spans
// is made after it and so stopped before it: the last spans are sent too.
var Module = fx.Module("tracing", fx.Provide(start))

func start(lc fx.Lifecycle, cfg tracing.Config, who tracing.Process, log *zap.Logger) (*tracing.Tracer, error) {
	t, err := tracing.New(cfg, who, log)
	if err != nil {
		return nil, err
	}
	if t.On() {
		log.Info("traces are sent", zap.String("to", cfg.URL()))
		lc.Append(fx.StopHook(t.Shutdown))
	}
	return t, nil
}
