// Package pipe is an in-memory transport for tests of what stands above the
// transport: sessions, hub, router. New makes both ends at once: the handler
// gets a transport.Conn, the test gets the Client, which injects messages and
// looks at what was sent. It is light enough for a million connections: a
// Client is one small struct that records frames only when asked to.
//
// It keeps the contract of package transport: Receive is called one message at
// a time and in order, not after it returned false until Resume, and Closed
// exactly once, last. Messages are delivered on the goroutine that injects
// them (Client.Receive) or that of the Resume's helper; Client.Wait waits for
// the latter. Conn methods never call the handler before they return: Closed
// comes on a goroutine of its own, which Wait waits for too.
//
// A Client has one lock, held while no handler runs.
package pipe
