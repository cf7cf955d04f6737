// Package routerfx provides the router.
package routerfx

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
)

// Module provides a *router.Router, which starts the gateway's sessions.
var Module = fx.Module("router", fx.Provide(
	route,
	func(r *router.Router) gateway.Router { return r },
))

// others are who the router calls besides its own parts.
type others struct {
	fx.In

	Upstreams  router.Upstreams
	Streams    router.Streams `optional:"true"`
	Watcher    router.Watcher
	Authorizer auth.Authorizer // nil where nobody can be asked
	Monitor    *monitor.Monitor
	Tracer     *tracing.Tracer // nil: makes no spans
}

func route(lc fx.Lifecycle, cfg router.Config, h *hub.Hub, b broker.Broker, v auth.Verifier,
	live *policy.Live, w *wheel.Wheel, others others, log *zap.Logger,
) *router.Router {
	r := router.New(cfg, h, b, v, live, w, log)
	r.UseUpstreams(others.Upstreams)
	r.UseWatcher(others.Watcher)
	r.UseMonitor(others.Monitor)
	r.UseTracer(others.Tracer)
	if others.Streams != nil {
		r.UseStreams(others.Streams)
	}
	if others.Authorizer != nil {
		r.UseAuthorizer(others.Authorizer)
	}
	lc.Append(fx.StopHook(r.Shutdown))
	return r
}
