// Package routerfx provides the router.
package routerfx

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
)

// Module provides a *router.Router, which starts the gateway's sessions.
var Module = fx.Module("router", fx.Provide(
	route,
	func(r *router.Router) gateway.Router { return r },
))

func route(lc fx.Lifecycle, cfg router.Config, h *hub.Hub, b broker.Broker, v auth.Verifier,
	live *policy.Live, w *wheel.Wheel, log *zap.Logger,
) *router.Router {
	r := router.New(cfg, h, b, v, live, w, log)
	lc.Append(fx.StopHook(r.Shutdown))
	return r
}
