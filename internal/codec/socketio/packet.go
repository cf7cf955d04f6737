package socketio

import (
	"strconv"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Type is the type of a packet.
type Type uint8

// The types of packets, by their digits on the wire.
const (
	Connect      Type = iota // to a namespace, and the server's consent
	Disconnect               // from a namespace
	Event                    // an event's name and arguments
	Ack                      // the arguments of an event's callback
	ConnectError             // server: the namespace is refused
	BinaryEvent              // an event whose arguments hold binary data
	BinaryAck                // an acknowledgement whose arguments do
)

// Limits of a packet.
const (
	MaxAttachments = 10        // of a binary packet, as in the reference
	MaxNamespace   = 128       // bytes of a namespace
	MaxAckID       = 1<<53 - 1 // the largest integer that a client can count to
)

// message is the type of an Engine.IO message packet.
const message = '4'

// Packet is one packet. A decoded one points into the message that it was read
// from; one that is written must hold valid parts.
type Packet struct {
	Type Type
	// Namespace is without its comma, nil for the root namespace "/".
	Namespace []byte
	// ID asks for an acknowledgement of an event, and is the one that an
	// acknowledgement answers: digits without leading zeros, nil for none.
	ID []byte
	// Data is raw JSON, nil when absent: an array for events and
	// acknowledgements, an object for a connect.
	Data []byte
	// Attachments is how many binary messages follow a binary packet, 1 to
	// MaxAttachments; 0 for others. Parts are these messages, once they came.
	Attachments int
	Parts       [][]byte
}

// Binary reports whether packets of a type have attachments.
func (t Type) Binary() bool { return t == BinaryEvent || t == BinaryAck }

// IsEvent reports whether the packet is an event, binary or not.
func (p Packet) IsEvent() bool { return p.Type == Event || p.Type == BinaryEvent }

// IsAck reports whether the packet is an acknowledgement, binary or not.
func (p Packet) IsAck() bool { return p.Type == Ack || p.Type == BinaryAck }

// AckID is ID as a number; 0 without one.
func (p Packet) AckID() uint64 {
	n, _ := strconv.ParseUint(string(p.ID), 10, 64)
	return n
}

// Append appends the packet's text, as a client would write it.
func (p Packet) Append(b []byte) []byte {
	b = append(b, '0'+byte(p.Type))
	if p.Type.Binary() {
		b = append(strconv.AppendInt(b, int64(p.Attachments), 10), '-')
	}
	if p.Namespace != nil {
		b = append(append(b, p.Namespace...), ',')
	}
	return append(append(b, p.ID...), p.Data...)
}

// Frame is the packet's text as a whole Engine.IO message. Its Parts are
// binary messages of their own, which must follow it directly.
func (p Packet) Frame() *wire.Frame {
	b := wire.Buffer(len(p.Namespace) + len(p.ID) + len(p.Data) + len("4510-,"))
	return wire.NewFrame(wire.Text, p.Append(append(b, message)))
}
