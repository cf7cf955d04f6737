package httpapi

import "net/http"

// route is one operation.
type route struct {
	method, path string // below Prefix, as http.ServeMux writes it
	handle       handler
}

// routes is the one table of operations. openapi.json says the same in the
// same order.
func (a *API) routes() []route {
	return []route{
		{http.MethodPost, "/publish", a.publish},
		{http.MethodPost, "/publish/batch", a.publishBatch},
		{http.MethodPost, "/ask", a.ask},
		{http.MethodPost, "/subscribe", a.subscribe},
		{http.MethodPost, "/unsubscribe", a.unsubscribe},
		{http.MethodPost, "/disconnect", a.disconnect},
		{http.MethodPost, "/revoke", a.revoke},
		{http.MethodGet, "/users/{user}/connections", a.userConnections},
		{http.MethodGet, "/connections/{connection}", a.connection},
		{http.MethodGet, "/connections/{connection}/rooms", a.connectionRooms},
		{http.MethodGet, "/rooms", a.rooms},
		{http.MethodGet, "/rooms/{room}", a.room},
		{http.MethodGet, "/rooms/{room}/members", a.members},
		{http.MethodGet, "/rooms/{room}/history", a.history},
		{http.MethodGet, "/counts", a.counts},
		{http.MethodGet, "/instances", a.instances},
		{http.MethodGet, "/statistics", a.statistics},
		{http.MethodGet, "/load-balancer", a.loadBalancer},
		{http.MethodPost, "/drain", a.drain},
		{http.MethodGet, "/settings", a.settings},
		{http.MethodGet, "/openapi.json", a.openAPI},
	}
}
