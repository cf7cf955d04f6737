package socketio

import (
	"bytes"

	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// reserved reports whether the protocol keeps an event name to itself: a
// client that got such an event would close its connection.
func reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// renamed stands before the name of an event that the protocol reserves. Only
// who speaks another dialect can publish one.
const renamed = "event:"

// appendName appends an event's name as a JSON string.
func appendName(b []byte, name string) []byte {
	if reserved(name) {
		name = renamed + name
	}
	return jsonscan.AppendQuoted(b, name)
}

// eventParts splits an event's data, which is a JSON array without white space
// at its ends: the raw first element and the raw rest with the commas between,
// both empty when there is none.
func eventParts(data []byte) (name, args []byte) {
	inner := data[1 : len(data)-1]
	end := comma(inner)
	if end < 0 {
		return trim(inner), nil
	}
	return trim(inner[:end]), trim(inner[end+1:])
}

// comma returns the index of the first comma between the elements of an
// array's inside, -1 when there is none. What it reads is known to be JSON.
func comma(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += stringLen(b[i:]) - 1
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}

// stringLen is the length of the JSON string at b's start, its quotes included.
func stringLen(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

func trim(b []byte) []byte { return bytes.Trim(b, " \t\r\n") }

// checkName checks the raw first element of an event: a string that the
// protocol does not reserve, or a number.
func checkName(raw []byte) error {
	if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') {
		return nil
	}
	if len(raw) < 2 || raw[0] != '"' || reservedText(raw) {
		return errReserved
	}
	return nil
}

// reservedText is reserved for a raw string.
func reservedText(raw []byte) bool {
	if bytes.IndexByte(raw, '\\') < 0 {
		return reserved(string(raw[1 : len(raw)-1]))
	}
	name, ok := jsonscan.Unquote(raw)
	return !ok || reserved(name)
}

// eventName is the name that a raw first element stands for; a number is its
// own name. Those that every client sends are not allocated.
func eventName(raw []byte) string {
	if name := builtIn(raw); name != "" {
		return name
	}
	if raw[0] != '"' {
		return string(raw)
	}
	name, _ := jsonscan.Unquote(raw)
	return name
}

// builtIn returns the name of an event of the gateway's own, or "".
func builtIn(raw []byte) string {
	switch string(raw) {
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

// Event returns the name and the raw arguments of an event that was checked:
// args are JSON values with the commas between them, empty for none. Both are
// empty for other packets.
func (p Packet) Event() (name string, args []byte) {
	if !p.IsEvent() || len(p.Data) < 2 {
		return "", nil
	}
	raw, args := eventParts(p.Data)
	if checkName(raw) != nil {
		return "", nil
	}
	return eventName(raw), args
}

// EventData is the data of an event to a client. args are JSON values with the
// commas between them, empty for none. name must be UTF-8; one that the
// protocol reserves gets "event:" in front.
func EventData(name string, args []byte) []byte {
	b := append(make([]byte, 0, len(name)+len(args)+16), '[')
	b = appendName(b, name)
	if len(args) > 0 {
		b = append(append(b, ','), args...)
	}
	return append(b, ']')
}
