package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
)

// Version is the protocol's version, the value of the query parameter EIO.
const Version = "4"

// Type is the type of a packet, its first byte on the wire.
type Type byte

// The types of packets.
const (
	Open    Type = '0' // server: the handshake
	Close   Type = '1' // the transport may be closed
	Ping    Type = '2' // server: heartbeat; client: probes an upgrade
	Pong    Type = '3' // the answer to a ping
	Message Type = '4' // what the layer above says
	Upgrade Type = '5' // client: the probed transport takes over
	Noop    Type = '6' // server: ends a poll that has nothing to say
)

// The packets that never change.
const (
	ClosePacket   = "1"
	PingPacket    = "2"
	PongPacket    = "3"
	ProbePacket   = "2probe" // the client's first on a WebSocket that it upgrades to
	ProbedPacket  = "3probe" // the answer to it
	UpgradePacket = "5"
	NoopPacket    = "6"
)

// binaryMark begins a message packet whose binary data is written in base64.
const binaryMark = 'b'

// Packet is one decoded packet.
type Packet struct {
	Type   Type
	Binary bool   // Data is binary; only messages are
	Data   []byte // without the type; empty when there is none
}

// Errors of decoding: the peer does not speak the protocol, the session ends.
var (
	ErrEmpty  = errors.New("engine.io: empty packet")
	ErrType   = errors.New("engine.io: unknown packet type")
	ErrBase64 = errors.New("engine.io: malformed base64")
	ErrText   = errors.New("engine.io: text is not UTF-8")
)

// Parse decodes a packet from text: one text message of a WebSocket, or one
// packet of a payload. Data points into text, except that of a binary message,
// which is decoded into a buffer of its own. The caller has checked that text
// is UTF-8. (A binary message of a WebSocket needs no decoding: it is the Data
// of a Message.)
func Parse(text []byte) (Packet, error) {
	var p Packet
	err := p.parse(text, nil)
	return p, err
}

// parse decodes text into p; binary data goes to the end of buf.
func (p *Packet) parse(text, buf []byte) error {
	*p = Packet{}
	switch {
	case len(text) == 0:
		return ErrEmpty
	case text[0] == binaryMark:
		data, err := appendDecoded(buf, text[1:])
		if err != nil {
			return err
		}
		*p = Packet{Type: Message, Binary: true, Data: data}
		return nil
	case text[0] < byte(Open) || text[0] > byte(Noop):
		return ErrType
	}
	*p = Packet{Type: Type(text[0]), Data: text[1:]}
	return nil
}

// appendDecoded decodes padded standard base64 (RFC 4648 section 4), strictly:
// the standard library would skip line breaks.
func appendDecoded(buf, text []byte) ([]byte, error) {
	if bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 {
		return nil, ErrBase64
	}
	data, err := base64.StdEncoding.Strict().AppendDecode(buf, text)
	if err != nil {
		return nil, ErrBase64
	}
	return data, nil
}
