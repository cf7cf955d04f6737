// Package statisticsfx provides what this instance tells the fleet of its
// counters.
package statisticsfx

import (
	"go.uber.org/fx"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/statistics"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
)

// Module provides a func() fleet.Statistics.
var Module = fx.Module("statistics", fx.Provide(read))

type sources struct {
	fx.In

	Sockets *ws.Server
	Engine  *polling.Server
	Hub     *hub.Hub
	Router  *router.Router
	Gateway *gateway.Gateway
	Monitor *monitor.Monitor
}

func read(s sources) func() fleet.Statistics {
	return statistics.Sources{
		Sockets: s.Sockets.Stats, Engine: s.Engine.Stats, Hub: s.Hub.Stats, Router: s.Router.Stats,
		Refused: s.Gateway.Refused, Monitor: s.Monitor,
	}.Read
}
