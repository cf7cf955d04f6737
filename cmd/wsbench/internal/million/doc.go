// Package million puts very many connections, a million of them, on one
// machine: a process may open only so many descriptors, so it starts a Redis,
// as many gateways on it and as many workers as that takes, each at loopback
// addresses of its own. It holds the connections, publishes to all of them and
// to single users through the server API, lets the gateways drain, and reports
// what all that cost. Whatever ends it, nothing that it started stays.
package million
