// Package healthfx provides liveness and readiness on both ports.
package healthfx

import (
	"net/http"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/server"
)

// Module provides a *health.Service and its routes.
var Module = fx.Module("health", fx.Provide(
	fx.Annotate(func(checks []health.Check, log *zap.Logger) *health.Service { return health.New(checks, log) },
		fx.ParamTags(`group:"checks"`)),
	fx.Annotate(routes, fx.ResultTags(`group:"routes,flatten"`)),
))

func routes(s *health.Service) []server.Route {
	var all []server.Route
	for _, port := range []server.Port{server.Public, server.Admin} {
		for pattern, h := range map[string]http.HandlerFunc{
			"GET /health": s.ServeReady, "GET /health/ready": s.ServeReady, "GET /health/live": s.ServeLive,
		} {
			r := server.Route{Port: port, Pattern: pattern, Handler: h, Open: true}
			if port == server.Public && pattern == "GET /health" {
				r.Says = "health"
			}
			all = append(all, r)
		}
	}
	return all
}
