package httpapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// text takes a string of up to most bytes.
func text(name string, most int, to *string) func([]byte) error {
	return func(raw []byte) error {
		s, ok := jsonscan.Unquote(raw)
		if !ok || s == "" || len(s) > most {
			return wire.NewError(wire.InvalidMessage, strconv.Quote(name)+" is a string of 1 to "+strconv.Itoa(most)+" bytes")
		}
		*to = s
		return nil
	}
}

// roomName takes the name of a room.
func roomName(to *string) func([]byte) error {
	return func(raw []byte) error {
		s, ok := jsonscan.Unquote(raw)
		if !ok || !wire.ValidRoom(s) {
			return errRoom
		}
		*to = s
		return nil
	}
}

// userID takes the id of a user.
func userID(to *string) func([]byte) error {
	return func(raw []byte) error {
		s, ok := jsonscan.Unquote(raw)
		if !ok {
			return errUser
		}
		*to = s
		return checkUser(s)
	}
}

// yes takes the word true.
func yes(name string, to *bool) func([]byte) error {
	return func(raw []byte) error {
		if string(raw) != "true" {
			return wire.NewError(wire.InvalidMessage, strconv.Quote(name)+" is true, or absent")
		}
		*to = true
		return nil
	}
}

// value takes any JSON of up to most bytes (0: no bound). It is copied: what
// is kept of a request must not keep all of it.
func value(name string, most int, to *[]byte) func([]byte) error {
	return func(raw []byte) error {
		if most > 0 && len(raw) > most {
			return wire.NewError(wire.TooLarge, strconv.Quote(name)+" has more than "+strconv.Itoa(most)+" bytes")
		}
		*to = bytes.Clone(raw)
		return nil
	}
}

// list takes an array of up to most strings.
func list(name string, most int, to *[]string) func([]byte) error {
	return func(raw []byte) error {
		if raw[0] != '[' || json.Unmarshal(raw, to) != nil || len(*to) > most {
			return wire.NewError(wire.InvalidMessage, strconv.Quote(name)+" is an array of up to "+strconv.Itoa(most)+" strings")
		}
		return nil
	}
}

// moment takes a time in Unix milliseconds.
func moment(name string, to *time.Time) func([]byte) error {
	return func(raw []byte) error {
		ms, err := strconv.ParseInt(string(raw), 10, 53)
		if err != nil || ms <= 0 {
			return wire.NewError(wire.InvalidMessage, strconv.Quote(name)+" is a time in Unix milliseconds")
		}
		*to = time.UnixMilli(ms)
		return nil
	}
}
