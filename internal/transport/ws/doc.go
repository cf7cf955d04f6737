// Package ws carries WebSocket connections (RFC 6455, permessage-deflate of
// RFC 7692) over coder/websocket.
//
// # Shape
//
// A connection that has nothing to say costs one conn struct: no goroutine, no
// buffer, no queue. Two parts are played for it when there is something to do,
// each by one goroutine at a time:
//
//   - the reader (read.go) reads what is there, lets the framer (frame.go) find
//     complete messages and control frames, and calls the handler;
//   - the writer (flush.go) takes what is queued and writes many frames at once.
//
// The modes differ in who plays the parts and in the socket under them
// (socket.go). Parked (park_linux.go): an epoll set, one-shot, tells workers
// which connection is readable and flushers which is writable again; nothing
// blocks. Goroutine: a read loop per connection, and a writer while something
// is queued; it works over any net.Conn: TLS, net.Pipe, other systems. In mode
// auto plain TCP is parked on Linux and everything else has a goroutine.
//
// # What of coder/websocket is used
//
// Its Accept answers the handshake; the connection it returns knows only a
// detached stand-in and is let go. Messages are decoded by a few connections
// of it over memory, the decoders (decode.go), which are lent to readers for
// one complete message at a time and hold nothing of a connection in between.
// Control frames, limits, compression and the closing handshake are ours: they
// need decisions that the library does not leave to us (it never checks UTF-8,
// hangs in Close on a peer that stalls, does not bound empty frames, and keeps
// bytes behind a final DEFLATE block for the next message).
//
// # Sockets
//
// Parked mode duplicates the descriptor of the hijacked net.TCPConn and closes
// the original, so that the net package's memory goes and Go's own epoll set
// does not wake for every packet. The descriptor is ours from then on: every
// use happens inside the reader's part, inside the writer's part, or under the
// connection's mu, and it is freed under mu once both parts have ended. epoll
// data carries the table's slot and a generation that is never reused within
// four billion connections, so a late event finds nobody.
//
// # Slow peers
//
// A queue is bounded in bytes. When it is full, what the slow policies of
// rooms allow to leave out makes room (slow.go): holes (hole.go) take its place
// and are encoded when they are written, so that those that meet are one. A
// room that conflates is also gone through while its peer's window is full.
// Queues of peers that do not keep up share a budget (budget.go); beyond it the
// largest is cut, by whoever queued the last byte and holds no lock.
//
// # The end
//
// Close queues a close frame behind everything else; nothing follows it. The
// wheel bounds the rest by CloseTimeout. A broken rule is answered by the
// close frame that names it, the writing side is shut, and what still comes is
// thrown away until the peer has gone or the time is up. A cut shuts the
// socket at once; the reader's part, or a goroutine of its own when nobody has
// it, calls Handler.Closed and frees the descriptor.
//
// # Goroutines and who stops them
//
// Workers (poller), flushers and, counted by Server.helpers, readers and
// writers of their own and running Accepts. Shutdown stops and waits for all.
//
// # Lock order
//
// conn.mu, then one of table.mu, flusher.mu, budget.mu, Server.mu, or a lock
// of the wheel. No handler is called with any of them held. The wheel calls
// conn.Expired without a lock.
package ws
