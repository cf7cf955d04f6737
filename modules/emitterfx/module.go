// Package emitterfx provides what carries out the messages of redis-emitter. It
// is part of the gateway only where a Redis is configured.
package emitterfx

import (
	"context"
	"errors"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/bridge/emitter"
	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/router"
)

// Module provides an *emitter.Listener, which listens from start to stop.
var Module = fx.Module("emitter", fx.Provide(
	listener, sockets,
	fx.Annotate(run, fx.ResultTags(`group:"runners"`)),
	fx.Annotate(checks, fx.ResultTags(`group:"checks,flatten"`)),
))

func sockets(h *hub.Hub, r *router.Router, live *policy.Live, p hub.Pacer) emitter.Local {
	return emitter.NewSockets(emitter.SocketParts{Hub: h, Router: r, Rule: live.Lookup, Pacer: p})
}

func listener(cfg emitter.Config, m *redisconn.Manager, local emitter.Local, log *zap.Logger) *emitter.Listener {
	return emitter.New(cfg, emitter.Parts{Redis: m, Local: local, Log: log})
}

func run(l *emitter.Listener) func(context.Context) { return l.Run }

// checks tell of emitters that are not heard; clients do not need them.
func checks(l *emitter.Listener) []health.Check {
	if !l.Enabled() {
		return nil
	}
	return []health.Check{{Name: "emitter", Degrades: true, Ready: func(context.Context) error {
		if err := l.Err(); err != nil {
			return errors.Join(health.Reason("messages of redis-emitter are not received"), err)
		}
		return nil
	}}}
}
