// Package asyncapifx provides the AsyncAPI document of gateway.v1 on the public
// port.
package asyncapifx

import (
	"go.uber.org/fx"

	"github.com/moonx-farm/ws-gateway/internal/asyncapi"
	"github.com/moonx-farm/ws-gateway/internal/server"
)

// Module provides the route of the document, for everybody.
var Module = fx.Module("asyncapi", fx.Provide(fx.Annotate(route, fx.ResultTags(`group:"routes"`))))

func route() server.Route {
	return server.Route{Port: server.Public, Pattern: asyncapi.Path, Handler: asyncapi.New(), Open: true, Says: "AsyncAPI document"}
}
