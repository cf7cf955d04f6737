// Package monitorfx provides the performance monitor, its report on the admin
// port, and its runner.
package monitorfx

import (
	"context"

	"go.uber.org/fx"

	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
)

// Module provides a *monitor.Monitor, its route and its runner.
var Module = fx.Module("monitor", fx.Provide(
	monitor.New,
	fx.Annotate(route, fx.ResultTags(`group:"routes"`)),
	fx.Annotate(run, fx.ResultTags(`group:"runners"`)),
))

func route(m *monitor.Monitor) server.Route {
	return server.Route{
		Port: server.Admin, Pattern: "GET /debug/performance", Handler: m, Says: "performance (key needed)",
	}
}

func run(m *monitor.Monitor, t *ws.Server, h *hub.Hub, r *router.Router) func(context.Context) {
	m.Watch(
		monitor.Counter{Name: "messagesReceived", Value: func() int64 { return t.Stats().MessagesIn }},
		monitor.Counter{Name: "framesSent", Value: func() int64 { return t.Stats().FramesOut }},
		monitor.Counter{Name: "bytesReceived", Value: func() int64 { return t.Stats().BytesIn }},
		monitor.Counter{Name: "bytesSent", Value: func() int64 { return t.Stats().BytesOut }},
		monitor.Counter{Name: "deliveries", Value: func() int64 { return h.Stats().Delivered }},
		monitor.Counter{Name: "requests", Value: func() int64 { return r.Stats().Requests }},
		monitor.Counter{Name: "published", Value: func() int64 { return r.Stats().Published }},
	)
	return m.Run
}
