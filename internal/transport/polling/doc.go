// Package polling is an Engine.IO server (protocol version 4): sessions that
// begin with HTTP long-polling and may move to a WebSocket, or live on one from
// the start. To what stands above a session is a transport.Conn, to the
// WebSocket below it is a transport.Handler.
//
// # Frames
//
// Text frames that are sent hold a whole Engine.IO message, "4" in front, and
// never 0x1e; binary frames are the data alone. So one frame serves WebSockets,
// which get its bytes as they are, and payloads of polls. What is received has
// no "4" any more.
//
// # Requests
//
// Accept takes requests without a session id, Continue those with one. Who
// calls them has checked origin, host and credentials. At most two GETs of a
// session are under way: one whose answer is being written, and one that waits
// (poll.go); and one POST, which is answered once its messages were taken
// (post.go), so that a handler that holds makes the client wait.
//
// # Upgrade
//
// A WebSocket for a polling session is a probe (upgrade.go) until the client's
// upgrade packet: the queue then goes to the WebSocket in one step, under the
// session's mu, and later frames pass by that lock. It waits until no POST and
// no answer is under way. The connection below stays parked while it is idle.
//
// # Heartbeats
//
// The session pings PingInterval after the last pong, whatever else came, as
// clients count on it. Intervals that the wheel's tick would blur have timers
// of their own. A request is judged by the clock when it comes, not by whether
// a timer has run.
//
// # The end
//
// A session ends once: die takes it out of the table, and Handler.Closed is
// called by the goroutine that delivers, or by one of its own. Close lets the
// next poll, or the one that waits, have what is queued and then a close packet.
// On a WebSocket the transport below does all this.
//
// # Memory
//
// Polling sessions are bounded in number; what waits for them, what is being
// written and the bodies of POSTs share a budget, beyond which the largest
// session is cut.
//
// # Goroutines and lock order
//
// Requests under way, and Closed calls, are counted by Server.helpers, which
// Shutdown waits for. Lock order: session.mu, then Server.mu, or a lock of the
// WebSocket transport or the wheel. No handler is called with any of them held.
//
// Protocol: https://socket.io/docs/v4/engine-io-protocol/
package polling
