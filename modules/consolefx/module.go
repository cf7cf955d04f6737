// Package consolefx provides the page on the admin port.
package consolefx

import (
	"go.uber.org/fx"

	"github.com/moonx-farm/ws-gateway/internal/console"
	"github.com/moonx-farm/ws-gateway/internal/server"
)

// Module provides the routes of the page. They need no key: the page has
// nothing but what the public port gives to everybody.
var Module = fx.Module("console", fx.Provide(fx.Annotate(routes, fx.ResultTags(`group:"routes,flatten"`))))

func routes(cfg console.Config) []server.Route {
	page := console.New(cfg)
	return []server.Route{
		{Port: server.Admin, Pattern: "/{$}", Handler: page, Open: true, Says: "page"},
		{Port: server.Admin, Pattern: "/console.json", Handler: page, Open: true},
		{Port: server.Admin, Pattern: "/console/", Handler: page, Open: true},
	}
}
