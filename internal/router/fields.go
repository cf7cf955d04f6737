package router

import (
	"strconv"

	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// maxFields bounds the keys of a request's data; none has more than six.
const maxFields = 16

// maxSince bounds the rooms of a since object.
const maxSince = 1000

var (
	errObject       = wire.NewError(wire.InvalidMessage, `"data" is a JSON object`)
	errUnknownField = wire.NewError(wire.InvalidMessage, `"data" has a field that this event does not know`)
	errTwice        = wire.NewError(wire.InvalidMessage, `"data" has a field twice`)
	errString       = wire.NewError(wire.InvalidMessage, `a field of "data" wants a string`)
	errBool         = wire.NewError(wire.InvalidMessage, `a field of "data" wants true or false`)
	errPosition     = wire.NewError(wire.InvalidMessage, `"since" is a position as "pos" gave it`)
	errSince        = wire.NewError(wire.InvalidMessage, `"since" is an object of positions by room, each room once`)
)

// fields calls f for every field of an object. A missing object has none.
func fields(data []byte, f func(key string, value []byte) error) error {
	if data == nil {
		return nil
	}
	var seen [maxFields]string
	n := 0
	o := jsonscan.Object(data)
	for o.Next() {
		key := fieldName(o.Key)
		for _, k := range seen[:n] {
			if k == key {
				return errTwice
			}
		}
		if err := f(key, o.Value); err != nil {
			return err
		}
		if n == maxFields {
			return errUnknownField
		}
		seen[n] = key
		n++
	}
	if o.Err() != nil {
		return errObject
	}
	return nil
}

// fieldName is a key as a string, which for those that come with every publish
// is not made anew.
func fieldName(key []byte) string {
	switch string(key) {
	case "room":
		return "room"
	case "event":
		return "event"
	case "data":
		return "data"
	}
	return string(key)
}

func text(value []byte, to *string) error {
	s, ok := jsonscan.Unquote(value)
	if !ok {
		return errString
	}
	*to = s
	return nil
}

func keyText(value []byte, to *string) error {
	if err := text(value, to); err != nil {
		return err
	}
	if *to == "" || len(*to) > MaxKey {
		return errKey
	}
	return nil
}

func roomName(value []byte, to *string) error {
	if err := text(value, to); err != nil {
		return err
	}
	if !wire.ValidRoom(*to) {
		return errRoomName
	}
	return nil
}

func boolean(value []byte, to *bool) error {
	switch string(value) {
	case "true":
		*to = true
	case "false":
		*to = false
	default:
		return errBool
	}
	return nil
}

func count(value []byte, to *int) error {
	n, err := strconv.ParseUint(string(value), 10, 31)
	if err != nil {
		return errLimit
	}
	*to = int(n)
	return nil
}

func position(value []byte, to *wire.Position) error {
	s, ok := jsonscan.Unquote(value)
	if !ok {
		return errPosition
	}
	p, err := wire.ParsePosition(s)
	if err != nil {
		return errPosition
	}
	*to = p
	return nil
}

// positions are resume positions by room.
type positions map[string]wire.Position

// parseSince reads {room: pos}.
func parseSince(raw []byte) (positions, error) {
	if raw == nil {
		return nil, nil
	}
	out := positions{}
	o := jsonscan.Object(raw)
	for o.Next() {
		var pos wire.Position
		if err := position(o.Value, &pos); err != nil {
			return nil, err
		}
		room := string(o.Key)
		if _, twice := out[room]; twice || len(out) == maxSince || !wire.ValidRoom(room) {
			return nil, errSince
		}
		out[room] = pos
	}
	if o.Err() != nil {
		return nil, errSince
	}
	return out, nil
}
