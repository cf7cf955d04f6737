// Package integration runs the application in the test's process on real
// sockets, with its default transport, and holds it to the delivery contract
// while clients come and go.
//
// GATEWAY_LONG=1 runs a million messages instead of a sample.
package integration
