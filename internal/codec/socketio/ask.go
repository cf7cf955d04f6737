package socketio

import (
	"bytes"
	"strconv"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Question is an event with one argument that its client is to acknowledge: the
// library hands the application a callback behind the argument. Binary data in
// it is attached. id must be none that the socket's client has still to answer.
func (c Codec) Question(name string, data []byte, id uint32) *wire.Frame {
	data, parts := Detach(data)
	b := c.buffer(Event, len(parts), len(name)+len(data)+len(renamed)+len(`4294967295["",null]`))
	b = append(strconv.AppendUint(b, uint64(id), 10), '[')
	b = appendData(append(appendName(b, name), ','), data)
	return attach(wire.NewFrame(wire.Text, append(b, ']')), parts)
}

// Answer is what an acknowledgement says, as one JSON value like the data of an
// event: nil without arguments, the argument itself of one, an array of several,
// with attachments in base64. It is a copy. The packet must have been checked,
// and be whole; the error is a violation of the protocol.
func (p Packet) Answer() ([]byte, error) {
	if !p.IsAck() || len(p.Data) < 2 {
		return nil, errPlace
	}
	if p.Type.Binary() {
		text, err := p.Inline()
		if err != nil {
			return nil, err
		}
		if p, err = Header(text); err != nil {
			return nil, err
		}
	}
	return bytes.Clone(oneValue(trim(p.Data[1 : len(p.Data)-1]))), nil
}

// Reserved tells whether the protocol keeps an event name to itself. A
// publication with such a name reaches clients with "event:" in front.
func Reserved(name string) bool { return reserved(name) }
