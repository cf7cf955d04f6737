// Package codec says how a dialect turns bytes into requests and events into
// frames. Package jsonv1 speaks gateway.v1, package socketio Socket.IO. A codec
// is stateless and safe for concurrent use: one value serves all connections,
// and a publication is encoded once per codec, not once per member.
package codec
