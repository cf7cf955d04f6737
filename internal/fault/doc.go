// Package fault knows what an error means and what to do when an outside
// service keeps failing (the gateway's ErrorHandler).
//
// One table (Table) says for every error code of the protocol which close
// code, HTTP status and log level it has and whether the client should try
// again; close codes themselves stand in the one table of wire. Of turns any
// error into one that a client may see, so that no internal text leaves the
// process.
//
// Breaker stands in front of every outside service. It is made here alone, so
// that all of them open, try again and count in the same way.
//
// The package knows wire and nothing else of the gateway.
package fault
