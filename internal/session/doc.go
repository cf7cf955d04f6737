// Package session is one client of the gateway: its connection, its dialect,
// its identity and the seats it holds in rooms. It receives from the
// transport and hands decoded requests to a Dispatcher; it knows neither hub
// nor router.
package session
