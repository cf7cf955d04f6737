// Package server owns the two HTTP servers: the public one for clients and
// the admin one for operators. Listeners have TCP keepalive off: the gateway
// has heartbeats of its own, and kernel probes towards very many sockets cost
// more than they tell.
package server
