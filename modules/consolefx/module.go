// Package consolefx provides the console on the admin port.
package consolefx

import (
	"go.uber.org/fx"

	"github.com/moonx-farm/ws-gateway/internal/console"
	"github.com/moonx-farm/ws-gateway/internal/server"
)

// Module provides the routes of the console. They need no key: its files hold
// nothing that not everybody may know, and what it shows comes from the server
// API, which asks for one.
var Module = fx.Module("console", fx.Provide(fx.Annotate(routes, fx.ResultTags(`group:"routes,flatten"`))))

func routes(cfg console.Config) []server.Route {
	page := console.New(cfg)
	return []server.Route{
		{Port: server.Admin, Pattern: "/{$}", Handler: page, Open: true, Says: "console"},
		{Port: server.Admin, Pattern: "/console.json", Handler: page, Open: true},
		{Port: server.Admin, Pattern: "/console/", Handler: page, Open: true},
	}
}
