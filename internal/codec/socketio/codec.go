package socketio

import (
	"strconv"

	"github.com/moonx-farm/ws-gateway/internal/codec"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Codec speaks Socket.IO in one namespace. The zero value is ready, for the
// root namespace; codecs of one namespace are equal, so that a publication is
// encoded once for all its members.
type Codec struct {
	namespace string // "" for "/"
	offsets   bool   // publications say where they stand, see Recoverable
}

var (
	_ codec.Strict = Codec{}
	_ codec.Named  = Codec{}
)

// Name implements codec.Named.
func (Codec) Name() string { return "socket.io" }

// For returns the codec of a namespace: "/", or "/" and a name without commas
// and control characters.
func For(namespace string) Codec {
	if namespace == "/" {
		namespace = ""
	}
	return Codec{namespace: namespace}
}

// Namespace is the codec's namespace, "/" for the root.
func (c Codec) Namespace() string {
	if c.namespace == "" {
		return "/"
	}
	return c.namespace
}

// errName is no violation of the protocol: the request is refused, its client
// stays.
var errName = wire.NewError(wire.InvalidMessage, "an event's name is a string of 1 to 128 bytes")

// Violation reports whether an error of Header, Check, Parse, Inline, Decode or
// an Assembler is a violation of the protocol, for which the client is
// disconnected. The only one that is not is Decode's, of an event name of unfit
// length.
func Violation(err error) bool {
	return err != nil && err != error(errName) //nolint:errorlint // errors.Is compares codes; it is this very one
}

// Violation implements codec.Strict.
func (Codec) Violation(err error) bool { return Violation(err) }

// Decode implements codec.Codec. payload is an event without attachments, in
// the codec's namespace (a binary event after Packet.Inline). It points into
// payload, except when the event has several arguments: then Data is a new
// array of them. The id of an acknowledgement is the request's.
func (c Codec) Decode(op wire.Op, payload []byte, req *wire.Request) error {
	*req = wire.Request{}
	if op != wire.Text {
		return errOrder
	}
	p, err := Header(payload)
	req.ID = p.ID
	switch {
	case err != nil:
		return err
	case p.Type != Event || string(p.Namespace) != c.namespace:
		return errPlace
	}
	if err := p.checkJSON("["); err != nil {
		return err
	}
	name, args := eventParts(p.Data)
	if err := checkName(name); err != nil {
		return err
	}
	if req.Event = eventName(name); req.Event == "" || len(req.Event) > wire.MaxEventName {
		req.Event = ""
		return errName
	}
	req.Data = oneValue(args)
	return nil
}

// oneValue makes one JSON value of an event's arguments: nothing of none, the
// argument itself of one, an array of several.
func oneValue(args []byte) []byte {
	switch {
	case len(args) == 0:
		return nil
	case comma(args) < 0:
		return args
	}
	b := append(make([]byte, 0, len(args)+2), '[')
	return append(append(b, args...), ']')
}

// toBinary is from the type of a packet to that of one with attachments.
const toBinary = BinaryEvent - Event

// buffer begins a frame of n more bytes: the types of an Engine.IO message and
// of a packet, the number of its attachments, and the namespace.
func (c Codec) buffer(t Type, attachments, n int) []byte {
	b := append(wire.Buffer(n+len(c.namespace)+len("4510-,")), message)
	if attachments > 0 {
		b = append(strconv.AppendInt(append(b, '0'+byte(t+toBinary)), int64(attachments), 10), '-')
	} else {
		b = append(b, '0'+byte(t))
	}
	if c.namespace != "" {
		b = append(append(b, c.namespace...), ',')
	}
	return b
}

// Event implements codec.Codec. A reply goes to the request's callback as one
// argument, {ok, event, data} or {ok: false, error}; an event has one argument.
// Binary data in it is attached.
func (c Codec) Event(e wire.Event) *wire.Frame {
	data, parts := Detach(e.Data)
	e.Data = data
	f := wire.NewFrame(wire.Text, c.event(e, len(parts)))
	f.Room = e.Room
	return attach(f, parts)
}

// attach gives a frame its attachments.
func attach(f *wire.Frame, parts [][]byte) *wire.Frame {
	if len(parts) > 0 {
		f.Attach(parts)
	}
	return f
}

// event encodes an event with some attachments.
func (c Codec) event(e wire.Event, attachments int) []byte {
	n := len(e.Name) + len(e.ID) + len(e.Data)
	var b []byte
	switch {
	case e.ID == nil:
		b = append(c.buffer(Event, attachments, n+len(renamed)+len(`["",null]`)), '[')
		b = appendData(append(appendName(b, e.Name), ','), e.Data)
		b = append(b, ']')
	case e.Name == wire.EventError:
		b = append(c.buffer(Ack, attachments, n+len(`[{"ok":false,"error":null}]`)), e.ID...)
		b = appendData(append(b, `[{"ok":false,"error":`...), e.Data)
		b = append(b, "}]"...)
	default:
		b = append(c.buffer(Ack, attachments, n+len(renamed)+len(`[{"ok":true,"event":"","data":null}]`)), e.ID...)
		b = appendName(append(b, `[{"ok":true,"event":`...), e.Name)
		b = appendData(append(b, `,"data":`...), e.Data)
		b = append(b, "}]"...)
	}
	return b
}

// Publication implements codec.Codec: the second argument is {room, offset,
// pos}, without offset and pos where there is no history, and left out of
// publications to everyone and to one connection. Binary data in the first is
// attached.
func (c Codec) Publication(p *wire.Publication) *wire.Frame {
	data, parts := Detach(p.Data)
	b := append(c.buffer(Event, len(parts), len(p.Event)+len(p.Room)+len(data)+128), '[')
	b = appendData(append(appendName(b, p.Event), ','), data)
	if placed(p.Room, p.Position) {
		b = appendPlace(append(b, ','), p.Room, p.Position)
	}
	if c.offsets {
		b = appendOffset(b, p)
	}
	f := wire.NewFrame(wire.Text, append(b, ']'))
	f.Room, f.Position, f.ConflateKey = p.Room, p.Position, p.ConflateKey
	return attach(f, parts)
}

// placed reports whether a publication says where it stands.
func placed(room string, pos wire.Position) bool { return pos.Offset > 0 || !wire.Unnamed(room) }

// appendPlace appends {room, offset, pos}. A room's name needs no escapes.
func appendPlace(b []byte, room string, pos wire.Position) []byte {
	b = append(b, '{')
	if !wire.Unnamed(room) {
		b = append(append(append(b, `"room":"`...), room...), `",`...)
	}
	if pos.Offset > 0 {
		b = strconv.AppendUint(append(b, `"offset":`...), pos.Offset, 10)
		b, _ = pos.AppendText(append(b, `,"pos":"`...))
		b = append(b, `",`...)
	}
	b[len(b)-1] = '}' // in place of the comma: there is one field at least
	return b
}

// Skipped implements codec.Codec: "skipped" is the last field of the second
// argument.
func (c Codec) Skipped(f *wire.Frame, n uint64) *wire.Frame {
	p, offset := c.cutOffset(f)
	b := wire.Buffer(len(p) + len(offset) + 32)
	if placed(f.Room, f.Position) {
		b = append(append(b, p[:len(p)-len("}")]...), `,"skipped":`...)
	} else {
		b = append(append(b, p...), `,{"skipped":`...)
	}
	b = append(append(strconv.AppendUint(b, n, 10), '}'), offset...)
	told := wire.NewFrame(f.Op, append(b, ']'))
	told.Room, told.Position = f.Room, f.Position
	return told
}

func appendData(b, data []byte) []byte {
	if len(data) == 0 {
		return append(b, "null"...)
	}
	return append(b, data...)
}
