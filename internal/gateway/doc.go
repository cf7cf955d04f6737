// Package gateway admits connections: drain state, capacity, origin and
// credentials, in this order, before it upgrades a request and starts a
// session on it. It also leads the drain at shutdown.
package gateway
