// Package sioproto speaks Socket.IO (Engine.IO 4, Socket.IO 5) over a WebSocket
// from the client's side, in the namespace "/" and without binary data, as
// cheaply as a load generator must. Requests are events with an
// acknowledgement; see https://socket.io/docs/v4/socket-io-protocol/.
package sioproto
