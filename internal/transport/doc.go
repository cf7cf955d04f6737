// Package transport says what a connection is to the rest of the gateway: a
// Conn to send on and a Handler that receives. Package ws carries WebSockets,
// package polling Engine.IO, and package pipe connections in memory, for tests.
//
// Receive returns whether the next message may come: a handler that must wait
// for something (an auth service, Redis) returns false, works elsewhere, and
// calls Conn.Resume. Meanwhile nothing is read from the peer, so TCP carries
// the back-pressure and no inbox can grow.
package transport
