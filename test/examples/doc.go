// Package examples runs the examples that stand beside it as their readers do:
// by the commands of their README, with the gateway, Redis and Chromium as they
// are. Only ports and the place of policy files are others.
//
//   - chat: a page with the client that the gateway serves.
//   - ticker: prices for readers of any speed, by conflation.
//   - orders: a backend over HTTP, with a route and the server API.
//   - orders-redis: the same over Redis streams.
package examples
