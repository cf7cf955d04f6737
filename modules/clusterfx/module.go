// Package clusterfx provides what makes several gateways one fleet, and the
// route that tells clients where to connect.
package clusterfx

import (
	"context"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/server"
)

// Module provides a *cluster.Registry, a *cluster.Bus, a *cluster.Placement, a
// *cluster.Connect with its route, and a *cluster.Balancer, and runs them. A
// *redisconn.Manager and a cluster.Carrier are optional: without them there is
// one instance.
var Module = fx.Module("cluster", fx.Provide(
	registry, bus, cluster.NewPlacement, connect, balancer,
	fx.Annotate(route, fx.ResultTags(`group:"routes"`)),
	fx.Annotate(run, fx.ResultTags(`group:"runners"`)),
))

type store struct {
	fx.In

	Redis *redisconn.Manager `optional:"true"`
}

func registry(cfg cluster.Config, s store, log *zap.Logger) (*cluster.Registry, error) {
	return cluster.New(cfg, s.Redis, log)
}

type carrier struct {
	fx.In

	Carrier cluster.Carrier `optional:"true"`
}

func bus(r *cluster.Registry, c carrier, log *zap.Logger) *cluster.Bus {
	return cluster.NewBus(r, c.Carrier, log)
}

func connect(r *cluster.Registry, p *cluster.Placement, g *gateway.Gateway) *cluster.Connect {
	return cluster.NewConnect(r, p, g.Screen, gateway.PublicURL)
}

func route(c *cluster.Connect) server.Route {
	return server.Route{Port: server.Public, Pattern: "GET /connect", Handler: c, Says: "where to connect"}
}

func balancer(r *cluster.Registry, g *gateway.Gateway, log *zap.Logger) *cluster.Balancer {
	return cluster.NewBalancer(r, g.HandOff, log)
}

type parts struct {
	fx.In

	Registry  *cluster.Registry
	Bus       *cluster.Bus
	Placement *cluster.Placement
	Balancer  *cluster.Balancer
	Gateway   *gateway.Gateway
}

// run joins the gateway to the fleet. The instance is announced once it is
// served, and has left before it is served no more.
func run(p parts) func(context.Context) {
	p.Registry.UseLoad(func() cluster.Load { return cluster.Load(p.Gateway.Standing()) })
	p.Gateway.OnDrain(p.Registry.Beat)
	p.Gateway.UseElsewhere(p.Placement.Elsewhere)
	return cluster.Runner(p.Registry, p.Bus, p.Balancer)
}
