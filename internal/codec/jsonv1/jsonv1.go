package jsonv1

import (
	"strconv"

	"github.com/moonx-farm/ws-gateway/internal/codec"
	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Subprotocol is the name negotiated in the upgrade.
const Subprotocol = "gateway.v1"

// MaxID is the longest string id of a request in bytes, without its quotes.
const MaxID = 64

// Codec speaks gateway.v1. The zero value is ready.
type Codec struct{}

var _ codec.Codec = Codec{}

var (
	errBinary  = wire.NewError(wire.InvalidMessage, "messages are JSON text")
	errSyntax  = wire.NewError(wire.InvalidMessage, "a message is one JSON object, nested at most 64 deep")
	errField   = wire.NewError(wire.InvalidMessage, `a message has the fields "event", "id" and "data", each at most once`)
	errNoEvent = wire.NewError(wire.InvalidMessage, `"event" is a string of 1 to 128 bytes`)
	errRequest = wire.NewError(wire.InvalidMessage, `"id" is a string of 1 to 64 bytes or an integer`)
)

// Decode implements codec.Codec.
func (Codec) Decode(op wire.Op, payload []byte, req *wire.Request) error {
	*req = wire.Request{}
	if op != wire.Text {
		return errBinary
	}
	var fault error
	f := jsonscan.Object(payload)
	for f.Next() {
		if err := field(req, f.Key, f.Value); err != nil && fault == nil {
			fault = err
		}
	}
	switch {
	case f.Err() != nil:
		return errSyntax
	case fault != nil:
		return fault
	case req.Event == "":
		return errNoEvent
	}
	return nil
}

func field(req *wire.Request, key, value []byte) error {
	switch string(key) {
	case "event":
		return event(req, value)
	case "id":
		return requestID(req, value)
	case "data":
		if req.Data != nil {
			return errField
		}
		req.Data = value
		return nil
	}
	return errField
}

func event(req *wire.Request, value []byte) error {
	if req.Event != "" {
		return errField
	}
	name, ok := jsonscan.Unquote(value)
	if !ok || name == "" || len(name) > wire.MaxEventName {
		return errNoEvent
	}
	req.Event = name
	return nil
}

func requestID(req *wire.Request, value []byte) error {
	if req.ID != nil {
		return errField
	}
	switch c := value[0]; {
	case c == '"':
		if len(value) < 3 || len(value) > MaxID+2 {
			return errRequest
		}
	case c == '-' || c >= '0' && c <= '9':
		if _, err := strconv.ParseInt(string(value), 10, 64); err != nil {
			return errRequest
		}
	default:
		return errRequest
	}
	req.ID = value
	return nil
}

// Event implements codec.Codec.
func (Codec) Event(e wire.Event) *wire.Frame {
	b := wire.Buffer(len(e.Name) + len(e.ID) + len(e.Data) + 32)
	b = append(b, `{"event":`...)
	b = jsonscan.AppendQuoted(b, e.Name)
	if e.ID != nil {
		b = append(append(b, `,"id":`...), e.ID...)
	}
	return wire.NewFrame(wire.Text, appendData(b, e.Data))
}

// Publication implements codec.Codec. Publications to everyone carry no room.
func (Codec) Publication(p *wire.Publication) *wire.Frame {
	b := wire.Buffer(len(p.Event) + len(p.Room) + len(p.Data) + 112)
	b = append(b, `{"event":`...)
	b = jsonscan.AppendQuoted(b, p.Event)
	if p.Room != wire.Everyone {
		b = append(b, `,"room":"`...)
		b = append(append(b, p.Room...), '"')
	}
	if p.Position.Offset > 0 {
		b = append(b, `,"offset":`...)
		b = strconv.AppendUint(b, p.Position.Offset, 10)
		b = append(b, `,"pos":"`...)
		b, _ = p.Position.AppendText(b)
		b = append(b, '"')
	}
	f := wire.NewFrame(wire.Text, appendData(b, p.Data))
	f.Room, f.Offset, f.ConflateKey = p.Room, p.Position.Offset, p.ConflateKey
	return f
}

func appendData(b, data []byte) []byte {
	b = append(b, `,"data":`...)
	if data == nil {
		b = append(b, "null"...)
	} else {
		b = append(b, data...)
	}
	return append(b, '}')
}
