// Package httpapifx provides the server API for backends.
package httpapifx

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/server"
)

// Module provides a *httpapi.API and its route on the admin port.
var Module = fx.Module("httpapi", fx.Provide(
	serve,
	fx.Annotate(route, fx.ResultTags(`group:"routes"`)),
))

func serve(cfg httpapi.Config, f *fleet.Fleet, log *zap.Logger) *httpapi.API {
	return httpapi.New(cfg, httpapi.Of(f, log))
}

func route(a *httpapi.API) server.Route {
	return server.Route{Port: server.Admin, Pattern: httpapi.Prefix + "/", Handler: a, Says: "server API (key needed)"}
}
