// Package pollingfx provides the Engine.IO server that Socket.IO clients come
// in by.
package pollingfx

import (
	"context"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
)

// stopTime bounds the wait for requests under way.
const stopTime = 3 * time.Second

// Module provides a *polling.Server, also as a gateway.Engine.
var Module = fx.Module("polling", fx.Provide(
	start,
	func(s *polling.Server) gateway.Engine { return s },
))

// start has the ids of sessions name this instance, so that another can pass a
// request on.
func start(lc fx.Lifecycle, cfg polling.Config, r *cluster.Registry, ws transport.Acceptor, w *wheel.Wheel, log *zap.Logger) *polling.Server {
	cfg.Instance = r.Incarnation()
	s := polling.New(cfg, ws, w, log)
	lc.Append(fx.StopHook(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, stopTime)
		defer cancel()
		return s.Shutdown(ctx)
	}))
	return s
}
