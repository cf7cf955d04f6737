// Package router takes the decoded requests of sessions to their handlers, and
// sends to connections, rooms, users and everyone (the gateway's
// MessageRouter).
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
// # The life of an identity
//
// A connection ends with its token: the session's timer, which has served for
// the first credential, then serves for the token's end. A refresh replaces
// the identity and the timer's task, and touches nothing else: rooms, presence
// and what is under way stay. Whoever sets the timer does so under the
// session's lock while the session has the identity that the task is for.
//
// Revocations are noted before sessions are looked for, and looked up after a
// session has taken an identity: one of the two finds the other.
//
// Memberships that the authorizer has granted for a time stand in grants, by
// session: sessions without any pay nothing for them. What is due is asked
// again by a bounded number of goroutines.
//
// # Locks
//
// Order: grants.mu, then Router.mu, then the wheel's. Session's lock, then the
// wheel's. revocations.mu, then the wheel's.
//
// # Goroutines
//
// Those of requests that wait, and those that ask for grants again. Shutdown
// stops and waits for them.
package router
