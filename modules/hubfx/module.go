// Package hubfx provides the hub and leads the life of the broker that
// delivers to it.
package hubfx

import (
	"context"
	"time"

	"go.uber.org/fx"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
)

// stopTime bounds the wait for deliveries under way.
const stopTime = 3 * time.Second

// Module provides a *hub.Hub.
var Module = fx.Module("hub", fx.Provide(start))

// life is what a broker is started and ended with.
type life interface {
	Start(sink broker.Sink)
	Shutdown(ctx context.Context) error
}

// control takes what instances tell each other beside rooms.
type control struct {
	fx.In

	Listener broker.Noticed `name:"control" optional:"true"`
}

// listens is a broker that several instances share.
type listens interface{ UseListener(l broker.Noticed) }

// start asks for the watcher before the transport (the pacer): what is made
// first is stopped last, and the watcher is told of every connection that ends.
func start(lc fx.Lifecycle, cfg hub.Config, watcher hub.Watcher, b broker.Broker, live *policy.Live, p hub.Pacer,
	w *wheel.Wheel, m *monitor.Monitor, c control,
) *hub.Hub {
	if l, ok := b.(listens); ok {
		l.UseListener(c.Listener)
	}
	h := hub.New(cfg, b, live.Lookup, p, w)
	h.UseWatcher(watcher)
	h.UseMonitor(m)
	lc.Append(fx.Hook{
		OnStart: func(context.Context) error {
			if l, ok := b.(life); ok {
				l.Start(h)
			}
			return nil
		},
		OnStop: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, stopTime)
			defer cancel()
			h.Shutdown()
			if l, ok := b.(life); ok {
				return l.Shutdown(ctx)
			}
			return nil
		},
	})
	return h
}
