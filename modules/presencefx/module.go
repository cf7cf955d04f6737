// Package presencefx provides the directory of the fleet, for gateways that
// share a Redis.
package presencefx

import (
	"context"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/presence"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
)

const (
	// stopTime bounds the writing of what waits at the end.
	stopTime = time.Second
	// outlives is how many INSTANCE_TTL what an instance has written is kept
	// without it: the others take it for gone after one, then look who was there.
	outlives = 6
)

// Module provides a *presence.Directory, also as a fleet.Directory, and makes
// it the fleet of the hub and of the limits.
var Module = fx.Module("presence",
	fx.Provide(
		start,
		func(d *presence.Directory) fleet.Directory { return d }, // the fleet asks for it before the first connection
	),
)

// view is a registry as the directory sees it.
type view struct{ *cluster.Registry }

// Self implements presence.View.
func (v view) Self() string { return v.Incarnation() }

// Others implements presence.View.
func (v view) Others() []string {
	var incarnations []string
	for _, i := range v.Registry.Others() {
		incarnations = append(incarnations, i.Incarnation)
	}
	return incarnations
}

func start(lc fx.Lifecycle, m *redisconn.Manager, r *cluster.Registry, c cluster.Carrier, h *hub.Hub, l *limit.Limiter,
	w *wheel.Wheel, log *zap.Logger,
) *presence.Directory {
	d := presence.New(outlives*r.TTL(), m, view{r}, c, w, log)
	d.Attach(h, l)
	m.Watch(d)
	r.AddKeeper(d.Keep)
	r.OnGone(func(_ context.Context, incarnation string) { d.Gone(incarnation) })
	lc.Append(fx.Hook{
		OnStart: func(context.Context) error {
			d.Start()
			return nil
		},
		OnStop: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, stopTime)
			defer cancel()
			if err := d.Shutdown(ctx); err != nil {
				log.Warn("presence: what has changed last is not written", zap.Error(err))
			}
			return nil
		},
	})
	return d
}
