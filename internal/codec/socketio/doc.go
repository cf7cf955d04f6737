// Package socketio is the codec of the Socket.IO protocol, version 5, as
// socket.io-client 4.x speaks it. It reads and writes packets, puts binary
// packets together with their attachments, and implements codec.Codec for one
// namespace. It knows no connection; whoever does takes messages in turn
// through an Assembler, answers CONNECT, DISCONNECT and ACK itself, and hands
// events to the session of their namespace, whose Codec decodes them.
//
// What is read has no Engine.IO type in front: it is the data of a message
// packet. What is written is a *wire.Frame that holds the whole Engine.IO
// message, "4" included, so that its bytes are the same on a WebSocket and in a
// polling payload. They never hold the payload's separator.
//
// Requests and events keep the names and data of gateway.v1:
//
//	socket.emit("join_room", {room}, callback)  a request, callback({ok, event, data}) or callback({ok: false, error})
//	socket.emit("join_room", {room})            a request whose reply comes as an event
//	socket.on("message", (data, {room, offset, pos}) => …)  a publication
//
// Several arguments of a client's event are one JSON array to the rest of the
// gateway. Binary data is JSON there, {"_binary":true,"base64":"…"}, whoever
// wrote it, and goes to clients as attachments, which are the Parts of a frame:
// see Packet.Inline and Detach.
//
// Nothing here trusts its input: JSON is at most jsonscan.MaxDepth deep, a
// packet has at most MaxAttachments attachments, each of which stands in one
// place, and the work is linear in the bytes.
//
// Protocol: https://socket.io/docs/v4/socket-io-protocol/
package socketio
