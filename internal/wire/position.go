package wire

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

// Position is a place in a room's log: the state just after the publication
// with that offset. Epoch is random and made with the room's log; Nonce is
// random and made with each entry, so that an offset which came back after a
// failover with other content is told apart. Offset 0 is the beginning and has
// nonce 0. The zero Position means "no position".
type Position struct {
	Epoch  uint64 // 48 bits, never 0 in a valid position
	Offset uint64
	Nonce  uint64 // 48 bits
}

// Bits48 masks epochs and nonces, which have 48 bits: eight base64 characters.
const Bits48 = 1<<48 - 1

// Place is a position in a room's stream; the zero Position where there is no
// history.
type Place struct {
	Room     string
	Position Position
}

var errPosition = errors.New("malformed position")

// IsZero reports whether p is no position at all.
func (p Position) IsZero() bool { return p == Position{} }

// AppendText appends "epoch.offset.nonce", the opaque form on the wire:
// 8 base64url characters, a decimal number, 8 base64url characters. It never
// fails. (encoding.TextAppender)
func (p Position) AppendText(b []byte) ([]byte, error) {
	b = append48(b, p.Epoch)
	b = append(b, '.')
	b = strconv.AppendUint(b, p.Offset, 10)
	b = append(b, '.')
	return append48(b, p.Nonce), nil
}

// String is the form on the wire, "" for no position.
func (p Position) String() string {
	if p.IsZero() {
		return ""
	}
	b, _ := p.AppendText(make([]byte, 0, 40))
	return string(b)
}

// ParsePosition reads the form that AppendText writes. A malformed position is
// an error; it never names an entry.
func ParsePosition(s string) (Position, error) {
	epoch, rest, ok := strings.Cut(s, ".")
	offset, nonce, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 {
		return Position{}, errPosition
	}
	e, err1 := parse48(epoch)
	n, err2 := parse48(nonce)
	o, err3 := strconv.ParseUint(offset, 10, 53)
	if err1 != nil || err2 != nil || err3 != nil || e == 0 || len(offset) > 1 && offset[0] == '0' {
		return Position{}, errPosition
	}
	return Position{Epoch: e, Offset: o, Nonce: n}, nil
}

func append48(b []byte, v uint64) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], v)
	return base64.RawURLEncoding.AppendEncode(b, raw[2:])
}

func parse48(s string) (uint64, error) {
	var raw [8]byte
	if len(s) != 8 {
		return 0, errPosition
	}
	// The decoder skips line breaks; then there are fewer than six bytes.
	if n, err := base64.RawURLEncoding.Strict().Decode(raw[2:], []byte(s)); err != nil || n != 6 {
		return 0, errPosition
	}
	return binary.BigEndian.Uint64(raw[:]), nil
}
