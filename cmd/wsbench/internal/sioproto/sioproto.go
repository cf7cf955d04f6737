package sioproto

import (
	"strconv"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

// Path and Query make a URL the one of a Socket.IO server that is asked for a
// WebSocket at once.
const (
	Path  = "/socket.io/"
	Query = "EIO=4&transport=websocket"
)

// Kind is what a packet of the server is for.
type Kind uint8

// The kinds.
const (
	Message   Kind = iota // an event or an acknowledgement, which Scan reads; or what nobody knows
	Open                  // Engine.IO is open: the client sends its CONNECT
	Ping                  // to be answered with Pong
	Connected             // the CONNECT was accepted
	Ended                 // the CONNECT was refused, or the socket or the connection ended
)

// KindOf tells the kind of a packet.
func KindOf(b []byte) Kind {
	switch {
	case len(b) == 0:
		return Message
	case b[0] == '4' && len(b) > 1:
		return socketKind(b[1])
	case b[0] == '0':
		return Open
	case b[0] == '2':
		return Ping
	case b[0] == '1':
		return Ended
	}
	return Message
}

func socketKind(t byte) Kind {
	switch t {
	case '0':
		return Connected
	case '1', '4':
		return Ended
	}
	return Message
}

// Pong answers a ping.
const Pong = "3"

// AppendConnect appends a CONNECT with a token, which must need no escapes;
// without one if it is empty.
func AppendConnect(dst, token []byte) []byte {
	dst = append(dst, "40"...)
	if len(token) == 0 {
		return dst
	}
	return append(append(append(dst, `{"token":"`...), token...), `"}`...)
}

// Dialect reads and writes events.
type Dialect struct{}

var _ gwproto.Dialect = Dialect{}

// Begin implements gwproto.Dialect.
func (Dialect) Begin(dst []byte, event string, id uint64) []byte {
	dst = append(dst, "42"...)
	if id != 0 {
		dst = strconv.AppendUint(dst, id, 10)
	}
	return append(append(append(dst, `["`...), event...), `",`...)
}

// End implements gwproto.Dialect.
func (Dialect) End(dst []byte) []byte { return append(dst, ']') }

// Scan implements gwproto.Dialect. An acknowledgement becomes the reply that
// it has as its one argument, an error included.
func (Dialect) Scan(b []byte, e *gwproto.Envelope) bool {
	*e = gwproto.Envelope{}
	if len(b) < len("42[]") || b[0] != '4' {
		return false
	}
	kind, rest := b[1], b[2:]
	n := digits(rest)
	list := gwproto.Elements(rest[n:])
	switch {
	case kind == '2' && n == 0:
		return event(&list, e)
	case kind == '3' && n > 0:
		e.ID = rest[:n]
		return reply(&list, e)
	}
	return false // an event that asks for an acknowledgement: wsbench gives none
}

// digits is how many b begins with.
func digits(b []byte) int {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return n
}

// event reads [name, data, {room, offset, pos}, …].
func event(list *gwproto.List, e *gwproto.Envelope) bool {
	if !list.Next() {
		return false
	}
	e.Event = gwproto.Unquote(list.Value)
	if list.Next() {
		e.Data = list.Value
	}
	if list.Next() {
		gwproto.ScanPlace(list.Value, e)
	}
	for list.Next() {
	}
	return list.Done && len(e.Event) > 0
}

// reply reads [{ok, event, data}] or [{ok: false, error}].
func reply(list *gwproto.List, e *gwproto.Envelope) bool {
	if !list.Next() {
		return false
	}
	e.Event = gwproto.Unquote(gwproto.Field(list.Value, "event"))
	e.Data = gwproto.Field(list.Value, "data")
	if fault := gwproto.Field(list.Value, "error"); fault != nil {
		e.Event, e.Data = []byte("error"), fault
	}
	return len(e.Event) > 0
}
