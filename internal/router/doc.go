// Package router takes the decoded requests of sessions to their handlers, and
// sends to connections, rooms, users and everyone (the plan's MessageRouter).
//
// # A request's way
//
// A session without an identity may only authenticate and ping. What never
// waits is done at once, on the transport's worker. What may wait (checking a
// token; a broker that is elsewhere; a publish into a room whose hand-off
// lags) goes on in a goroutine of the router, and the session receives nothing
// more until it is done: so the requests of one connection are answered in
// their order, and a publisher feels back-pressure in its own connection.
//
// # Publishing
//
// The entry's nonce is made before the first attempt. The reply to a publish
// precedes the publisher's own copy: the session notes the publish under way,
// and either the broker's answer or the delivery, whichever comes first, ends
// it and replies.
//
// # Goroutines
//
// Those of requests that wait. Shutdown stops and waits for them.
package router
