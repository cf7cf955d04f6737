// Package clientfx provides the browser client on the public port.
package clientfx

import (
	"go.uber.org/fx"

	"github.com/moonx-farm/ws-gateway/internal/console/client"
	"github.com/moonx-farm/ws-gateway/internal/server"
)

// Module provides the routes of the client and its types, for everybody.
var Module = fx.Module("client", fx.Provide(fx.Annotate(routes, fx.ResultTags(`group:"routes,flatten"`))))

func routes() []server.Route {
	h := client.New()
	return []server.Route{
		{Port: server.Public, Pattern: client.ScriptPath, Handler: h, Open: true, Says: "browser client"},
		{Port: server.Public, Pattern: client.TypesPath, Handler: h, Open: true},
	}
}
