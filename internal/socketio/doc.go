// Package socketio is the connection layer of Socket.IO: on one Engine.IO
// connection, which is a transport.Conn, it holds the sockets of a client's
// namespaces. Each socket is again a transport.Conn, on which a session is
// opened like on any other: hub and router see no difference. Packets are read
// and written by package codec/socketio.
//
// # A connection's life
//
// It begins without a socket. A CONNECT packet asks for one; Admission, which
// is the gateway's, decides, on a goroutine of its own, while the connection
// receives nothing more: what a client sends behind a CONNECT waits for the
// answer. A client that has got no socket within ConnectTimeout is
// disconnected, and so is one whose last socket the gateway has closed. Who has
// left the last namespace by itself keeps the connection, as the protocol says.
//
// All sockets of a connection are of one user. What a connection may take
// (limit.Account) its sockets share.
//
// # How a socket ends
//
// A DISCONNECT packet of the client ends its socket and leaves the others. The
// gateway ends a socket alone, with a DISCONNECT, if the close code says not to
// come back (4001, 4003): the library does not connect again after it. All
// other closes are the whole connection's, after which the library comes back
// by itself: a drain, an expired token, a client that is too slow. So do
// violations of the protocol.
//
// What a client sends to a socket that the gateway has closed is dropped, as it
// may not know yet.
//
// # Binary data
//
// A binary packet is put together with its attachments, in a bounded size and
// time, and handed on with its data in base64, see package codec/socketio.
//
// # Questions
//
// An event that the gateway sends can ask for an acknowledgement: see
// socket.Ask, which sessions call. What is not answered is bounded in number,
// for a socket and for all, and ends with its socket; how long it may take is
// the business of who asks.
//
// # Recovery
//
// Unless it is off, a session outlives its connection for a time. Its client gets
// a secret, the pid; the session's user, id, rooms and positions are written to
// a Store as they change (see track and recovery), with which any instance takes
// it up when the client comes back with the pid: see resume. A record has one
// owner, the connection that writes it. Who takes it becomes its owner and
// empties it, so that it is taken once; the owner before learns of that when it
// writes next, and is cut.
//
// Positions in a record are never ahead of the client: it starts from those that
// rooms were joined at, and moves to what the client has answered a ping behind.
// The one offset that the client itself gives is exact.
//
// # Locks
//
// conn.mu guards a connection and its sockets. It is taken with a session's
// lock held, and held while something is sent, so that nothing of a socket
// follows its DISCONNECT; never while a handler is called. Order: a session's
// lock, then conn.mu, then Server.mu or the transport's, then the wheel's.
// recovery.mu comes last, behind a room's too, and nothing is taken under it.
//
// # Goroutines
//
// Those that decide about a CONNECT, those that tell a session of its end, and
// with recovery one that writes.
// Shutdown stops and waits for them.
package socketio
