// Package fleetfx provides what acts on all instances as if they were one.
package fleetfx

import (
	"context"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/router"
)

// Module provides a *fleet.Fleet. A fleet.Directory and a fleet.Ledger are
// optional: without them there is one instance.
var Module = fx.Module("fleet", fx.Provide(join))

// Shared provides what instances share beside it, where there is a Redis: the
// ledger of revocations, which this instance follows from start to stop, and
// its check.
var Shared = fx.Module("fleet shared", fx.Provide(
	revocations,
	func(v *cluster.Revocations) fleet.Ledger { return v },
	fx.Annotate(check, fx.ResultTags(`group:"checks"`)),
))

type parts struct {
	fx.In

	Config    router.Config
	Router    *router.Router
	Hub       *hub.Hub
	Gateway   *gateway.Gateway
	Registry  *cluster.Registry
	Bus       *cluster.Bus
	Balancer  *cluster.Balancer
	Read      func() fleet.Statistics
	Directory fleet.Directory `optional:"true"`
	Ledger    fleet.Ledger    `optional:"true"`
	Log       *zap.Logger
}

func join(lc fx.Lifecycle, p parts) *fleet.Fleet {
	f := fleet.New(fleet.Parts{
		Instance: p.Config.Instance, Router: p.Router, Hub: p.Hub, View: p.Registry, Drainer: p.Gateway, Rebalancer: p.Balancer,
		Statistics: p.Read,
		Bus:        p.Bus, Directory: p.Directory, Ledger: p.Ledger, Log: p.Log,
	})
	lc.Append(fx.StopHook(f.Shutdown))
	return f
}

func revocations(lc fx.Lifecycle, cfg router.Config, m *redisconn.Manager, r *router.Router, log *zap.Logger) *cluster.Revocations {
	v := cluster.NewRevocations(m, cfg.Life.MaxRevocations, log)
	lc.Append(fx.StartStopHook(func() { v.Start(r) }, v.Shutdown))
	return v
}

func check(v *cluster.Revocations) health.Check {
	return health.Check{Name: "revocations", Ready: func(context.Context) error {
		if !v.Loaded() {
			return health.Reason("what was revoked is not known yet")
		}
		return nil
	}}
}
