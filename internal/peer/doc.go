// Package peer lets a client's requests come to any instance: one that belongs
// to an Engine.IO session on another instance is passed on to it, so that
// long-polling needs no sticky sessions.
//
// A session's id begins with the incarnation of the instance that holds it
// (polling.Owner). Forwarder passes a request on to that instance's admin port,
// below Path, where its Receiver hands it to the Engine.IO server. What is
// passed on was admitted by the instance that it came to, and is not admitted
// again; nor is it ever passed on a second time.
//
// # Where
//
// Each instance tells the others the base of its admin port
// (cluster.Instance.Peer): PEER_URL, or what it listens on, see Locate. An admin
// port that listens on loopback, as is the default, is reached by instances on
// the same machine alone; over several machines set ADMIN_HOST or PEER_URL, or
// let the load balancer keep clients on their instance.
//
// # Trust
//
// All instances share a secret in Redis (cluster.Secret, read by Keyring). Each
// request carries a ticket: who passes it on, to whom, when, a number that is
// used once, the digest of the body, and the client's address, Host and Origin.
// The ticket is signed together with method, path and query by HMAC-SHA256
// (ticket.go). The receiver takes a ticket for itself alone, once, and only
// while it is new by both clocks (replay.go). Signed requests reach the Engine.IO
// server and nothing else of the admin port.
//
// Nothing is encrypted unless PEER_URL is https://. The client's credentials are
// not passed on: they were looked at when the session began.
//
// # When it fails
//
// An instance that is not known, does not answer or refuses what it is sent ends
// in the protocol's error 1, "Session ID unknown", upon which clients begin anew.
// A client that goes away ends the request on the other instance too. An answer
// that breaks off is cut, never shortened.
//
// # Cost
//
// A poll that waits on another instance takes about 50 KB and six goroutines of
// the two together. A session that moves to a WebSocket by way of another
// instance keeps that way for as long as it lives (tunnel.go), at about 60 KB and
// four goroutines more than without. Both are bounded; a client that may not have
// its WebSocket goes on polling. Stickiness is not needed, but saves this.
//
// # Goroutines and locks
//
// Forwarder.Shutdown ends what is under way and waits for it. All locks of the
// package are leaves, but for Keyring's, which is held while Redis is asked.
package peer
