// Package engine holds very many WebSocket client connections with a few
// threads: raw non-blocking sockets on epoll, no goroutine and about a hundred
// bytes per connection, one read buffer per loop.
//
// A Group owns Loops, one goroutine each. A Loop owns its connections: only
// its own goroutine touches them, calls its Handler, and may call the Loop's
// methods that take a Conn. Others reach it through Post, Counters and Load.
//
// Bytes of an incomplete frame are carried over to the next read in a buffer
// that a connection has only while it needs one (the same holds for bytes that
// the socket does not take). Pings are answered and the closing handshake is
// done here; a Handler sees complete text messages.
package engine
