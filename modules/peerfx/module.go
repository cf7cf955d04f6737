// Package peerfx provides what passes requests on to the instances that hold
// their Engine.IO sessions, and takes them from others. It is part of the gateway
// only where a Redis is configured.
package peerfx

import (
	"context"
	"net/http"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/peer"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
)

// Module provides a *peer.Forwarder, and a *peer.Receiver with its route on the
// admin port. A peer.ClientAddress is optional. Who serves the public port takes
// Forwarder.Over of its engine.
var Module = fx.Module("peer", fx.Provide(
	keys, forwarder, receiver,
	fx.Annotate(route, fx.ResultTags(`group:"routes"`)),
	fx.Annotate(run, fx.ResultTags(`group:"runners"`)),
))

func keys(m *redisconn.Manager, log *zap.Logger) *peer.Keyring {
	return peer.NewKeyring(cluster.NewSecret(m, "peer"), log)
}

type parts struct {
	fx.In

	Config   peer.Config
	Registry *cluster.Registry
	Keys     *peer.Keyring
	Client   peer.ClientAddress `optional:"true"`
	Log      *zap.Logger
}

func forwarder(p parts) (*peer.Forwarder, error) {
	return peer.New(p.Config, peer.Parts{Fleet: p.Registry, Keys: p.Keys, Client: p.Client, Log: p.Log})
}

func receiver(r *cluster.Registry, k *peer.Keyring, s *polling.Server) *peer.Receiver {
	return peer.NewReceiver(r.Incarnation(), k, http.HandlerFunc(s.Continue))
}

// route needs no key: the receiver asks for a ticket.
func route(v *peer.Receiver) server.Route {
	return server.Route{Port: server.Admin, Pattern: peer.Path + "/", Handler: v, Open: true}
}

type life struct {
	fx.In

	Config    peer.Config
	Drain     gateway.Config
	Registry  *cluster.Registry
	Keys      *peer.Keyring
	Forwarder *peer.Forwarder
	Gateway   *gateway.Gateway
	Servers   *server.Servers
}

// run tells the fleet where this instance is, and ends what is passed on before
// the servers end.
func run(l life) func(context.Context) {
	l.Registry.UsePeer(peer.Locate(l.Config, l.Servers.AdminAddr))
	l.Gateway.OnDrain(func() { l.Forwarder.Leave(l.Drain.DrainDelay + l.Drain.DrainWindow) })
	return func(ctx context.Context) {
		l.Keys.Run(ctx)
		l.Forwarder.Settle()
		l.Forwarder.Shutdown()
	}
}
