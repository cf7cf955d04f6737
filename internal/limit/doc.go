// Package limit counts what clients take and bounds it: connections of an
// address and of a user, and the rates of messages and joins of a connection
// and of a user (RATE_LIMITING_ENABLED).
//
// # Accounts
//
// Every connection that is limited has an Account, from its admission to its
// end. With every limit off there is none: a nil Account allows everything and
// costs a connection nothing.
//
// What is counted for an address or a user exists only while that address or
// user has a connection: no map grows with the names that clients make up. The
// price is that who closes all connections begins anew, with a full burst; each
// handshake buys one.
//
// The connections of a user are those on all instances where there is a Fleet;
// while that does not answer each instance bounds its own.
//
// # Rates
//
// A rate is kept by the generic cell rate algorithm (ITU-T I.371, annex A): one
// integer per rate and subject, no timer, no lock. A burst is a time: a subject
// that was silent for that long may send at once what the rate gives in it.
//
// A client over its rate is told, message by message. One that goes on so that
// even what it is refused passes the rate for a whole burst is disconnected:
// telling it costs more than serving it.
//
// # Locks
//
// Account.mu, then one shard of a register. Neither is held while anything is
// called, but for Fleet.Counted, under a shard's.
package limit
