// Package socketiofx provides the connections of Socket.IO clients and the route
// by which they come in.
package socketiofx

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/socketio"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
)

// Module provides a *socketio.Server and its route. It needs a gateway.Engine.
// A *redisconn.Manager is optional.
var Module = fx.Module("socketio", fx.Provide(
	serve,
	fx.Annotate(route, fx.ResultTags(`group:"routes"`)),
))

type shared struct {
	fx.In

	Redis *redisconn.Manager `optional:"true"`
}

// serve has sessions recovered on any instance where there is a Redis, else on
// this one.
func serve(lc fx.Lifecycle, cfg socketio.Config, h *hub.Hub, with shared, w *wheel.Wheel, log *zap.Logger) *socketio.Server {
	s := socketio.New(cfg, w, log)
	if with.Redis != nil {
		s.UseRecovery(cluster.NewRecovery(with.Redis), h.Places)
	} else {
		s.UseRecovery(socketio.NewMemory(), h.Places)
	}
	lc.Append(fx.StopHook(s.Shutdown))
	return s
}

// route is not measured as an upgrade: a poll takes as long as there is nothing
// to say.
func route(g *gateway.Gateway, e gateway.Engine, s *socketio.Server) server.Route {
	return server.Route{
		Port: server.Public, Pattern: "/socket.io/{$}", Handler: g.SocketIO(e, s), Says: "Socket.IO",
	}
}
