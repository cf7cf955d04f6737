package socketio

import (
	"bytes"

	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Violations of the protocol: who commits one is disconnected.
var (
	errType        = wire.NewError(wire.InvalidMessage, "a packet begins with its type, a digit from 0 to 6")
	errAttachments = wire.NewError(wire.InvalidMessage, "a binary packet has 1 to 10 attachments, each in one place")
	errNamespace   = wire.NewError(wire.InvalidMessage, "a namespace has at most 128 bytes and no control characters")
	errAckID       = wire.NewError(wire.InvalidMessage, "an acknowledgement id is an integer up to 2^53-1, on events and acknowledgements alone")
	errData        = wire.NewError(wire.InvalidMessage, "the packet's data is not JSON of the kind that its type has, nested at most 64 deep")
	errReserved    = wire.NewError(wire.InvalidMessage, "an event is a JSON array that begins with a name, which the protocol has not reserved")
	errOrder       = wire.NewError(wire.InvalidMessage, "the attachments of a binary packet follow it directly")
	errPlace       = wire.NewError(wire.InvalidMessage, "the packet does not belong here")
)

// Header reads a packet from the text of a message and leaves its data
// unchecked: enough to tell whose it is. The error is a *wire.Error with code
// InvalidMessage; the packet then has what could be read.
func Header(text []byte) (Packet, error) {
	if len(text) == 0 || text[0] < '0' || text[0] > '0'+byte(BinaryAck) {
		return Packet{}, errType
	}
	p := Packet{Type: Type(text[0] - '0')}
	rest := text[1:]
	var err error
	if p.Type.Binary() {
		if p.Attachments, rest, err = attachments(rest); err != nil {
			return p, err
		}
	}
	if p.Namespace, rest, err = namespace(rest); err != nil {
		return p, err
	}
	if p.ID, rest, err = ackID(rest); err != nil {
		return p, err
	}
	if len(rest) > 0 {
		p.Data = rest
	}
	return p, nil
}

// Parse reads a whole packet: Header and Check.
func Parse(text []byte) (Packet, error) {
	p, err := Header(text)
	if err == nil {
		err = p.Check()
	}
	return p, err
}

// attachments reads the number of attachments and the dash after it.
func attachments(b []byte) (n int, rest []byte, err error) {
	count, _, ok := bytes.Cut(b[:min(len(b), len("10-"))], []byte{'-'})
	switch {
	case !ok:
		return 0, nil, errAttachments
	case string(count) == "10":
		n = MaxAttachments
	case len(count) == 1 && count[0] >= '1' && count[0] <= '9':
		n = int(count[0] - '0')
	default:
		return 0, nil, errAttachments
	}
	return n, b[len(count)+1:], nil
}

// namespace reads a namespace and the comma after it, which may be missing at
// the packet's end. The root namespace is nil, however it is written.
func namespace(b []byte) (name, rest []byte, err error) {
	if len(b) == 0 || b[0] != '/' {
		return nil, b, nil
	}
	end := bytes.IndexByte(b[:min(len(b), MaxNamespace+1)], ',')
	switch {
	case end >= 0:
		name, rest = b[:end], b[end+1:]
	case len(b) > MaxNamespace:
		return nil, nil, errNamespace
	default:
		name = b
	}
	for _, c := range name {
		if c < 0x20 || c == 0x7f {
			return nil, nil, errNamespace
		}
	}
	if len(name) == 1 {
		name = nil
	}
	return name, rest, nil
}

// ackID reads the digits of an acknowledgement id, without leading zeros.
func ackID(b []byte) (id, rest []byte, err error) {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	if n == 0 {
		return nil, b, nil
	}
	id, rest = bytes.TrimLeft(b[:n-1], "0"), b[n:]
	if len(id) >= len("9007199254740991") {
		return nil, nil, errAckID
	}
	id = b[n-1-len(id) : n]
	if (Packet{ID: id}).AckID() > MaxAckID {
		return nil, nil, errAckID
	}
	return id, rest, nil
}

// Check checks the packet's data against its type: it is JSON of the right
// kind, and an event has a name that the protocol does not reserve. It takes
// white space off the data's end. The error is a *wire.Error with code
// InvalidMessage.
func (p *Packet) Check() error {
	switch p.Type {
	case Connect, Disconnect, ConnectError:
		return p.checkControl()
	}
	if p.IsAck() && p.ID == nil {
		return errAckID
	}
	if err := p.checkJSON("["); err != nil {
		return err
	}
	if p.IsEvent() {
		name, _ := eventParts(p.Data)
		return checkName(name)
	}
	return nil
}

func (p *Packet) checkControl() error {
	switch {
	case p.ID != nil:
		return errAckID
	case p.Data == nil && p.Type != ConnectError:
		return nil
	case p.Type == Connect:
		return p.checkJSON("{")
	case p.Type == ConnectError:
		return p.checkJSON(`{"`)
	}
	return errData
}

// checkJSON checks that the data is JSON and begins with one of some bytes.
func (p *Packet) checkJSON(begins string) error {
	if len(p.Data) == 0 || bytes.IndexByte([]byte(begins), p.Data[0]) < 0 || jsonscan.Valid(p.Data) != nil {
		return errData
	}
	p.Data = bytes.TrimRight(p.Data, " \t\r\n")
	return nil
}
