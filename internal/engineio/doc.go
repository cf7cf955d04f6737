// Package engineio is the vocabulary of the Engine.IO protocol, version 4:
// packets, the payloads of HTTP long-polling, the open packet, the protocol's
// limits and its six errors. It knows no connection and does no I/O; package
// transport/polling makes sessions of it.
//
// On a WebSocket a packet is one message: text begins with the packet's type,
// binary is the data of a message packet alone. In a polling payload packets
// stand one after the other, separated by 0x1e, and binary data is written as
// "b" and base64. Nothing here trusts its input: the work is linear in the
// bytes, and what is decoded is never larger than they are.
//
// Protocol: https://socket.io/docs/v4/engine-io-protocol/
package engineio
