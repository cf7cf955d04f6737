// Package transportfx provides the WebSocket transport.
package transportfx

import (
	"context"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
)

// stopTime bounds the wait for the transport's goroutines.
const stopTime = 3 * time.Second

// Module provides a *ws.Server, which accepts upgrades and paces fan-out.
var Module = fx.Module("transport", fx.Provide(
	serve,
	func(s *ws.Server) transport.Acceptor { return s },
	func(s *ws.Server) hub.Pacer { return s },
))

func serve(lc fx.Lifecycle, cfg ws.Config, w *wheel.Wheel, log *zap.Logger) (*ws.Server, error) {
	cfg = cfg.Within(gateway.MemoryLimit())
	s, err := ws.New(cfg, w, log)
	if err != nil {
		return nil, err
	}
	log.Info("transport", zap.String("mode", s.Mode()), zap.Bool("compression", cfg.Compression),
		zap.Int64("sendBudgetBytes", cfg.SendBudgetBytes))
	lc.Append(fx.Hook{
		OnStart: func(context.Context) error { return s.Start() },
		OnStop: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, stopTime)
			defer cancel()
			return s.Shutdown(ctx)
		},
	})
	return s, nil
}
