// Package httpapifx provides the server API for backends.
package httpapifx

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/reload"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
)

// Module provides a *httpapi.API and its route on the admin port.
var Module = fx.Module("httpapi", fx.Provide(
	serve,
	fx.Annotate(route, fx.ResultTags(`group:"routes"`)),
))

// running tells what this instance runs with.
type running struct {
	fx.In

	Effective httpapi.Effective
	Policy    *policy.Live
	Reloads   *reload.Watcher
	Health    *health.Service
}

func serve(cfg httpapi.Config, f *fleet.Fleet, with running, t *tracing.Tracer, log *zap.Logger) *httpapi.API {
	parts := httpapi.Of(f, log)
	parts.Tracer = t
	parts.Running = httpapi.Running{Effective: with.Effective, Policy: with.Policy, Reloads: with.Reloads, Health: with.Health}
	return httpapi.New(cfg, parts)
}

func route(a *httpapi.API) server.Route {
	return server.Route{Port: server.Admin, Pattern: httpapi.Prefix + "/", Handler: a, Says: "server API (key needed)"}
}
