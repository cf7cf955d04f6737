package socketio

import (
	"bytes"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// errTooLarge ends a connection as a violation does.
var errTooLarge = wire.NewError(wire.TooLarge, "the packet and its attachments are too large")

// Assembler takes the messages of one connection in turn and makes packets of
// them: a binary packet is whole once its attachments came. It holds one
// packet at most, and nothing between packets. Who owns it bounds the time
// that a packet may take. Not safe for concurrent use.
type Assembler struct {
	limit   int // bytes of a binary packet and its attachments
	pending *pending
}

// pending is a binary packet whose attachments are still to come.
type pending struct {
	packet Packet
	size   int
}

// NewAssembler returns an Assembler for binary packets of at most limit bytes,
// attachments included. (Who receives the messages bounds each of them.)
func NewAssembler(limit int) Assembler { return Assembler{limit: limit} }

// Pending reports whether attachments are awaited.
func (a *Assembler) Pending() bool { return a.pending != nil }

// Add takes the next message. ok is false when no packet is whole yet. A packet
// without attachments points into the message, and only its Header was read:
// Packet.Check, or the codec of its namespace, looks at the data. A binary
// packet has been checked, and is its own.
//
// After an error, which is a *wire.Error with code InvalidMessage or TooLarge,
// the connection must be closed.
func (a *Assembler) Add(op wire.Op, message []byte) (p Packet, ok bool, err error) {
	switch {
	case a.pending != nil:
		return a.attach(op, message)
	case op != wire.Text:
		return Packet{}, false, errOrder
	}
	p, err = Header(message)
	if err != nil || !p.Type.Binary() {
		return p, err == nil, err
	}
	if len(message) > a.limit {
		return Packet{}, false, errTooLarge
	}
	// Cloned before it is checked: what is kept must not be the transport's.
	p, err = Parse(bytes.Clone(message))
	if err != nil {
		return Packet{}, false, err
	}
	p.Parts = make([][]byte, 0, p.Attachments)
	a.pending = &pending{p, len(message)}
	return Packet{}, false, nil
}

// attach adds an attachment to the pending packet.
func (a *Assembler) attach(op wire.Op, data []byte) (Packet, bool, error) {
	w := a.pending
	w.size += len(data)
	switch {
	case op != wire.Binary:
		return Packet{}, false, errOrder
	case w.size > a.limit:
		return Packet{}, false, errTooLarge
	}
	w.packet.Parts = append(w.packet.Parts, append([]byte{}, data...))
	if len(w.packet.Parts) < w.packet.Attachments {
		return Packet{}, false, nil
	}
	a.pending = nil
	return w.packet, true, nil
}
