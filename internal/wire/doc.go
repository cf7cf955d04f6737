// Package wire is the gateway's vocabulary: requests, publications, frames,
// positions, error codes and close codes. It knows no transport, codec or
// broker, so that every other package can speak it. Standard library only.
//
// The words are those of the protocol gateway.v1; the README and the AsyncAPI
// document (package asyncapi) list them for users.
package wire
