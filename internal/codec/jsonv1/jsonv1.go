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

var _ codec.Named = Codec{}

// Name implements codec.Named.
func (Codec) Name() string { return Subprotocol }

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
	if req.Event = builtIn(value); req.Event != "" {
		return nil
	}
	name, ok := jsonscan.Unquote(value)
	if !ok || name == "" || len(name) > wire.MaxEventName {
		return errNoEvent
	}
	req.Event = name
	return nil
}

// builtIn returns the name of an event that every client sends, so that none
// is allocated for it, or "".
func builtIn(value []byte) string {
	switch string(value) {
	case `"` + wire.EventAuthenticate + `"`:
		return wire.EventAuthenticate
	case `"` + wire.EventJoinRoom + `"`:
		return wire.EventJoinRoom
	case `"` + wire.EventLeaveRoom + `"`:
		return wire.EventLeaveRoom
	case `"` + wire.EventPublish + `"`:
		return wire.EventPublish
	case `"` + wire.EventHistory + `"`:
		return wire.EventHistory
	case `"` + wire.EventPresence + `"`:
		return wire.EventPresence
	case `"` + wire.EventPing + `"`:
		return wire.EventPing
	}
	return ""
}

func requestID(req *wire.Request, value []byte) error {
	if req.ID != nil {
		return errField
	}
	if !validID(value) {
		return errRequest
	}
	req.ID = value
	return nil
}

// validID reports whether a JSON value may be an id.
func validID(value []byte) bool {
	if value[0] == '"' {
		return len(value) > 2 && len(value) <= MaxID+2
	}
	if len(value) > len("-9223372036854775808") {
		return false
	}
	_, err := strconv.ParseInt(string(value), 10, 64)
	return err == nil
}

// Event implements codec.Codec.
func (Codec) Event(e wire.Event) *wire.Frame {
	b := wire.Buffer(len(e.Name) + len(e.ID) + len(e.Data) + 32)
	b = append(b, `{"event":`...)
	b = jsonscan.AppendQuoted(b, e.Name)
	if e.ID != nil {
		b = append(append(b, `,"id":`...), e.ID...)
	}
	f := wire.NewFrame(wire.Text, appendData(b, e.Data))
	f.Room = e.Room
	return f
}

// Publication implements codec.Codec. Publications to everyone and to one
// connection carry no room.
func (Codec) Publication(p *wire.Publication) *wire.Frame {
	b := wire.Buffer(len(p.Event) + len(p.Room) + len(p.Data) + 112)
	b = append(b, `{"event":`...)
	b = jsonscan.AppendQuoted(b, p.Event)
	if !wire.Unnamed(p.Room) {
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
	f.Room, f.Position, f.ConflateKey = p.Room, p.Position, p.ConflateKey
	return f
}

// Skipped implements codec.Codec: "skipped" is the last field.
func (Codec) Skipped(f *wire.Frame, n uint64) *wire.Frame {
	p := f.Payload()
	b := append(wire.Buffer(len(p)+32), p[:len(p)-1]...)
	b = strconv.AppendUint(append(b, `,"skipped":`...), n, 10)
	told := wire.NewFrame(f.Op, append(b, '}'))
	told.Room, told.Position = f.Room, f.Position
	return told
}

func appendData(b, data []byte) []byte {
	b = append(b, `,"data":`...)
	if len(data) == 0 {
		b = append(b, "null"...)
	} else {
		b = append(b, data...)
	}
	return append(b, '}')
}
