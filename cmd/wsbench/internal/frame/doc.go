// Package frame reads and writes WebSocket frames (RFC 6455 section 5) from
// the client's side, and the opening handshake (section 4.1), on plain byte
// slices: no sockets, no allocation, no state. The event loop in package
// engine carries over what a read left incomplete.
package frame
