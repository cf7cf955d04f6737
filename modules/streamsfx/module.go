// Package streamsfx provides what connects backends over Redis streams: the
// command stream, and the streams of routes. It is part of the gateway only
// where a Redis is configured.
package streamsfx

import (
	"context"
	"errors"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/bridge/streams"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
)

// Module provides a *streams.Commands, which reads from start to stop, but not
// while the gateway drains, and a *streams.Sender, which the router adds to
// streams with.
var Module = fx.Module("streams", fx.Provide(
	commands, sender,
	func(s *streams.Sender) router.Streams { return s },
	fx.Annotate(run, fx.ResultTags(`group:"runners"`)),
	fx.Annotate(checks, fx.ResultTags(`group:"checks,flatten"`)),
))

func commands(cfg streams.Config, m *redisconn.Manager, f *fleet.Fleet, g *gateway.Gateway, t *tracing.Tracer, log *zap.Logger) *streams.Commands {
	return streams.New(cfg, streams.Parts{Redis: m, Publisher: f, People: f, Ready: g.Ready, Tracer: t, Log: log})
}

func sender(cfg streams.Config, m *redisconn.Manager, t *tracing.Tracer, log *zap.Logger) *streams.Sender {
	s := streams.NewSender(cfg, m, log)
	s.UseTracer(t)
	return s
}

func run(c *streams.Commands) func(context.Context) { return c.Run }

// checks tell of commands that cannot be read; clients do not need them.
func checks(c *streams.Commands) []health.Check {
	if !c.Enabled() {
		return nil
	}
	return []health.Check{{Name: "commands", Degrades: true, Ready: func(context.Context) error {
		if err := c.Err(); err != nil {
			return errors.Join(health.Reason("the command stream cannot be read"), err)
		}
		return nil
	}}}
}
