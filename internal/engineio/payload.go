package engineio

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// separator stands between the packets of a payload. No packet of the gateway
// holds it: JSON escapes it, and base64 has no such letter.
const separator = 0x1e

// Payload walks the packets of a polling request's body, in order:
//
//	for p := engineio.Decode(body); p.Next(); {
//		… p.Packet …
//	}
//
// and check Err afterwards. Packets before a malformed one are still seen, as
// the protocol has it. Not safe for concurrent use.
type Payload struct {
	// Packet is the current packet. Its Data is valid until Next; text points
	// into the body.
	Packet Packet

	rest []byte
	more bool
	buf  []byte // of binary data, used again by each packet
	err  error
}

// Decode begins a walk over a payload. A payload is UTF-8 and has at least one
// packet. How long it may be is for its reader to say (Limits.MaxPayload).
func Decode(body []byte) Payload {
	p := Payload{rest: body, more: true}
	if !utf8.Valid(body) {
		p.err = ErrText
	}
	return p
}

// Err tells why the walk ended early; nil when it has seen the whole payload.
func (p *Payload) Err() error { return p.err }

// Next moves to the next packet. It returns false at the end or at an error.
func (p *Payload) Next() bool {
	if !p.more || p.err != nil {
		return false
	}
	var text []byte
	text, p.rest, p.more = bytes.Cut(p.rest, []byte{separator})
	p.err = p.Packet.parse(text, p.buf[:0])
	if p.err != nil {
		return false
	}
	if p.Packet.Binary {
		p.buf = p.Packet.Data
	}
	return true
}

// AppendText appends a packet that is text, its type included, to a payload,
// behind a separator unless it is the first. packet must not be empty and must
// not hold 0x1e.
func AppendText(payload, packet []byte) []byte {
	return append(separate(payload), packet...)
}

// AppendBinary appends a message of binary data to a payload, behind a
// separator unless it is the first.
func AppendBinary(payload, data []byte) []byte {
	return base64.StdEncoding.AppendEncode(append(separate(payload), binaryMark), data)
}

func separate(payload []byte) []byte {
	if len(payload) == 0 {
		return payload
	}
	return append(payload, separator)
}

// TextSize is the bytes that AppendText adds at most for a packet of n bytes.
func TextSize(n int) int { return 1 + n }

// BinarySize is the bytes that AppendBinary adds at most for n bytes of data.
func BinarySize(n int) int { return 2 + base64.StdEncoding.EncodedLen(n) }
