// Package emitter takes what Node.js backends publish through
// @socket.io/redis-emitter, and servers through @socket.io/redis-adapter, and
// carries it out on this instance. Every instance takes everything, so that
// together they are to those backends what a fleet of Socket.IO servers is.
//
// # Protocol
//
// Events are MessagePack, [uid, {type, data, nsp}, {rooms, except, flags}], on
// the channel key#namespace#, or key#namespace#room# when they are for exactly
// one room. Requests (join, leave, disconnect, and events between servers) are
// JSON on key-request#namespace#. The names have no prefix: they are not this
// gateway's. Whoever subscribes to the channel of requests is counted by Node
// servers with the adapter, which wait for answers that this package does not
// give: it is left alone where such servers share the Redis (Config.Requests).
//
// Delivery is at most once and without offsets, as the protocol is. What comes
// while the connection is away, or faster than it can be carried out, is lost,
// and counted where it is seen. Events with names that are the gateway's own or
// the protocol's are refused.
//
// Nothing that comes is trusted: it is read once, by length, with a bound on
// its size and nesting, straight into the JSON that clients get. Binary data
// becomes {"_binary":true,"base64":"…"}, which the codec of Socket.IO makes
// attachments of.
//
// # Goroutines and locks
//
// From Start to Shutdown: one that connects and receives, one that watches the
// connection while there is one, and one that carries out what came, in its
// order. Listener.mu is held briefly and nothing is locked under it.
//
// Protocol: https://socket.io/docs/v4/redis-adapter/ and
// https://github.com/socketio/socket.io-redis-emitter
package emitter
