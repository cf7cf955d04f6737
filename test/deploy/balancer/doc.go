// Package balancer puts a real HAProxy, with the configuration that
// docker-compose.yml gives it, in front of built gateways that share a real
// Redis, and lets clients through it: WebSockets, polling sessions with and
// without cookies, and the Socket.IO library itself, while gateways are
// restarted and come and go in the DNS.
package balancer
