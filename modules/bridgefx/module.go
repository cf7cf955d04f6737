// Package bridgefx provides what calls backends: the services of routes, and
// webhooks.
package bridgefx

import (
	"context"
	"errors"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/bridge"
	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
)

// stopTime bounds the wait for webhooks that are still to be sent.
const stopTime = 5 * time.Second

// Module provides a *bridge.Upstreams and a *bridge.Webhooks, which sends from
// start to stop, and what the router and the hub know of them.
var Module = fx.Module("bridge", fx.Provide(
	client, upstreams, webhooks,
	func(u *bridge.Upstreams) router.Upstreams { return u },
	func(w *bridge.Webhooks) router.Watcher { return w },
	func(w *bridge.Webhooks) hub.Watcher { return w },
	fx.Annotate(checks, fx.ResultTags(`group:"checks,flatten"`)),
))

func client(lc fx.Lifecycle, cfg bridge.Config, dial bridge.Dial, t *tracing.Tracer) *bridge.Client {
	c := bridge.NewClient(cfg, dial)
	c.UseTracer(t)
	lc.Append(fx.StopHook(c.Close))
	return c
}

func upstreams(c *bridge.Client, live *policy.Live, log *zap.Logger) *bridge.Upstreams {
	return bridge.NewUpstreams(c, live, log)
}

func webhooks(lc fx.Lifecycle, cfg bridge.Config, c *bridge.Client, log *zap.Logger) *bridge.Webhooks {
	w := bridge.NewWebhooks(cfg, c, log)
	lc.Append(fx.Hook{
		OnStart: func(context.Context) error {
			w.Start()
			return nil
		},
		OnStop: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, stopTime)
			defer cancel()
			return w.Shutdown(ctx)
		},
	})
	return w
}

// checks tell of backends that fail; without them the gateway is still worth
// its traffic.
func checks(u *bridge.Upstreams, w *bridge.Webhooks) []health.Check {
	all := []health.Check{{Name: "upstreams", Degrades: true, Ready: func(context.Context) error {
		return worded("the service of a route fails", u.Err())
	}}}
	if w.Enabled() {
		all = append(all, health.Check{Name: "webhooks", Degrades: true, Ready: func(context.Context) error {
			return worded("the receiver takes no events", w.Err())
		}})
	}
	return all
}

// worded gives an error, if there is one, words for everybody.
func worded(words health.Reason, err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(words, err)
}
