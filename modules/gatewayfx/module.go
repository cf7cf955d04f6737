// Package gatewayfx provides admission and the route of the WebSocket.
package gatewayfx

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/transport"
)

// Module provides a *gateway.Gateway, its route and its check of readiness.
var Module = fx.Module("gateway", fx.Provide(
	capacity, limit.New, admit,
	func(g *gateway.Gateway) server.Gate { return g.TakesSocket },
	fx.Annotate(route, fx.ResultTags(`group:"routes"`)),
	fx.Annotate(check, fx.ResultTags(`group:"checks"`)),
))

func capacity(cfg gateway.Config, log *zap.Logger) (gateway.Capacity, error) {
	descriptors, err := gateway.Descriptors()
	if err != nil {
		return gateway.Capacity{}, err
	}
	c := gateway.CapacityOf(cfg.MaxConnections, descriptors, gateway.MemoryLimit())
	log.Info("capacity", zap.Int("connections", c.Connections), zap.String("boundBy", c.Reason))
	return c, nil
}

type parts struct {
	fx.In

	Router   gateway.Router
	Hub      *hub.Hub
	Broker   gateway.Quiescer
	Acceptor transport.Acceptor
	Verifier auth.Verifier
	Auth     auth.Config
	Limits   *limit.Limiter
	Tracer   *tracing.Tracer // nil: makes no spans
	Log      *zap.Logger
}

func admit(cfg gateway.Config, c gateway.Capacity, p parts) (*gateway.Gateway, error) {
	return gateway.New(cfg, c.Connections, gateway.Parts{
		Router: p.Router, Hub: p.Hub, Broker: p.Broker, Acceptor: p.Acceptor, Verifier: p.Verifier,
		LoopbackOnly: p.Auth.LoopbackOnly(), Limits: p.Limits,
		MemoryBudget: gateway.MemoryBudget(cfg.MemoryBudget, gateway.MemoryLimit()), Tracer: p.Tracer, Log: p.Log,
	})
}

func route(g *gateway.Gateway, m *monitor.Monitor) server.Route {
	return server.Route{
		Port: server.Public, Pattern: "/ws", Handler: m.Handler(monitor.Upgrade, g), WebSocket: true, Says: "gateway.v1",
	}
}

func check(g *gateway.Gateway) health.Check { return health.Check{Name: "drain", Ready: g.Ready} }
