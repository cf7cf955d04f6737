package server

import "net/http"

// Port says on which server a route stands.
type Port uint8

// The two ports.
const (
	Public Port = iota
	Admin
)

// Route is one thing that is served.
type Route struct {
	Port    Port
	Pattern string // of http.ServeMux
	Handler http.Handler
	// Open serves a route of the admin port without key.
	Open bool
	// WebSocket says that the route is one.
	WebSocket bool
	// Says is what the route is, for the log at start; "" is not worth a line.
	Says string
}

// mux makes the handler of one port.
func mux(port Port, routes []Route, keys *Keys) http.Handler {
	m := http.NewServeMux()
	for _, r := range routes {
		if r.Port != port {
			continue
		}
		h := r.Handler
		if port == Admin && !r.Open {
			h = keys.guard(h)
		}
		m.Handle(r.Pattern, h)
	}
	return m
}
