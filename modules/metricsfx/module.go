// Package metricsfx provides the metrics registry, its route and the profiles
// of the Go runtime.
package metricsfx

import (
	"net/http"
	"net/http/pprof"

	"go.uber.org/fx"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/bridge"
	"github.com/moonx-farm/ws-gateway/internal/bridge/emitter"
	"github.com/moonx-farm/ws-gateway/internal/bridge/streams"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker"
	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/metrics"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/peer"
	"github.com/moonx-farm/ws-gateway/internal/presence"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/reload"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/socketio"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
)

// Module provides a *metrics.Registry and the routes of metrics and profiles.
var Module = fx.Module("metrics", fx.Provide(
	register,
	fx.Annotate(routes, fx.ResultTags(`group:"routes,flatten"`)),
))

type sources struct {
	fx.In

	Version   metrics.Version
	Transport *ws.Server
	Hub       *hub.Hub
	Router    *router.Router
	Broker    *membroker.Broker    `optional:"true"`
	Redis     *redisconn.Manager   `optional:"true"`
	Shared    *redisbroker.Broker  `optional:"true"`
	Revoked   *cluster.Revocations `optional:"true"`
	Directory *presence.Directory  `optional:"true"`
	Commands  *streams.Commands    `optional:"true"`
	Streams   *streams.Sender      `optional:"true"`
	Emitter   *emitter.Listener    `optional:"true"`
	Forwarder *peer.Forwarder      `optional:"true"`
	Receiver  *peer.Receiver       `optional:"true"`
	Engine    *polling.Server
	SocketIO  *socketio.Server
	Registry  *cluster.Registry
	Bus       *cluster.Bus
	Balancer  *cluster.Balancer
	Gateway   *gateway.Gateway
	Limits    *limit.Limiter
	Sockets   *server.Sockets
	API       *httpapi.API
	Upstreams *bridge.Upstreams
	Webhooks  *bridge.Webhooks
	Monitor   *monitor.Monitor
	Reloads   *reload.Watcher
	Health    *health.Service
	Auth      auth.Counts
}

func register(s sources) *metrics.Registry {
	r := metrics.New(s.Version)
	r.Transport(s.Transport.Stats)
	r.Hub(s.Hub.Stats)
	r.Router(s.Router.Stats)
	if s.Broker != nil {
		r.Broker(s.Broker.Stats)
	} else {
		r.Redis(s.Redis.Stats)
		r.RedisBroker(s.Shared.Stats)
		r.Revocations(s.Revoked.Stats)
		r.Presence(s.Directory.Stats)
		r.Emitter(s.Emitter.Stats)
		r.Peer(s.Forwarder.Stats, s.Receiver.Stats)
		r.Streams(s.Commands.Stats, s.Streams.Stats)
	}
	r.SocketIO(s.Engine.Stats, s.SocketIO.Stats)
	r.Cluster(s.Registry.Stats, s.Bus.Stats, s.Balancer.Status)
	r.API(s.API.Stats)
	r.Admission(s.Gateway.Capacity(), s.Gateway.Refused)
	r.Limits(s.Limits.Stats, s.Gateway.Load, s.Sockets.Stats)
	r.Upstreams(s.Upstreams.Stats)
	r.Webhooks(s.Webhooks.Stats)
	r.Plan(s.Transport.Stats, s.Router.Stats)
	r.Monitor(s.Monitor)
	r.Reloads(s.Reloads.Stats)
	r.Health(s.Health)
	r.Auth(s.Auth)
	return r
}

func routes(r *metrics.Registry) []server.Route {
	all := []server.Route{
		{Port: server.Admin, Pattern: "GET /metrics", Handler: r.Handler(), Open: true, Says: "metrics"},
		{Port: server.Admin, Pattern: "GET /debug/pprof/", Handler: http.HandlerFunc(pprof.Index), Says: "profiles (key needed)"},
	}
	for name, h := range map[string]http.HandlerFunc{
		"cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		all = append(all, server.Route{Port: server.Admin, Pattern: "GET /debug/pprof/" + name, Handler: h})
	}
	return all
}
