package frame

import (
	"encoding/binary"
	"errors"
)

// The opcodes of RFC 6455 section 5.2.
const (
	Continuation byte = 0
	Text         byte = 1
	Binary       byte = 2
	Close        byte = 8
	Ping         byte = 9
	Pong         byte = 10
)

// Fin is the final bit in the first byte of a frame.
const Fin byte = 0x80

// MaxPayload is the largest payload a server may send to wsbench.
const MaxPayload = 64 << 20

// What a server may not send.
var (
	ErrMasked   = errors.New("frame: masked server frame")
	ErrReserved = errors.New("frame: reserved bits or opcode")
	ErrTooBig   = errors.New("frame: payload above the client's limit")
	ErrControl  = errors.New("frame: control frame fragmented or above 125 bytes")
)

// Next takes the first frame off b. first is the frame's first byte (Fin and
// opcode) and size the bytes it occupies; size is 0 while b ends before the
// frame does. payload is a part of b.
func Next(b []byte) (first byte, payload []byte, size int, err error) {
	if len(b) < 2 {
		return 0, nil, 0, nil
	}
	n, head := int(b[1]), 2
	if n >= 126 {
		if n, head, err = long(b); head == 0 || err != nil {
			return 0, nil, 0, err
		}
	}
	first = b[0]
	if first != Fin|Text {
		if err = unusual(first, n); err != nil {
			return 0, nil, 0, err
		}
	}
	if len(b)-head < n {
		return 0, nil, 0, nil
	}
	return first, b[head : head+n : head+n], head + n, nil
}

// long reads a length of 16 or 64 bits; head is 0 when it is incomplete.
func long(b []byte) (n, head int, err error) {
	switch {
	case b[1] >= 0x80:
		return 0, 0, ErrMasked
	case b[1] == 126 && len(b) >= 4:
		return int(binary.BigEndian.Uint16(b[2:])), 4, nil
	case b[1] == 127 && len(b) >= 10:
		if v := binary.BigEndian.Uint64(b[2:]); v <= MaxPayload {
			return int(v), 10, nil
		}
		return 0, 0, ErrTooBig
	}
	return 0, 0, nil
}

func unusual(first byte, n int) error {
	op := first & 0x0F
	switch {
	case first&0x70 != 0, op > Binary && op < Close, op > Pong:
		return ErrReserved
	case op >= Close && (first&Fin == 0 || n > 125):
		return ErrControl
	}
	return nil
}

// AppendMasked appends one whole client frame: first byte, length, key and the
// payload masked with it (RFC 6455 section 5.3).
func AppendMasked(dst []byte, op byte, payload []byte, key uint32) []byte {
	n := len(payload)
	switch {
	case n < 126:
		dst = append(dst, Fin|op, 0x80|byte(n))
	case n < 1<<16:
		dst = append(dst, Fin|op, 0x80|126, byte(n>>8), byte(n)) //nolint:gosec // two bytes of the length
	default:
		dst = append(dst, Fin|op, 0x80|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	dst = binary.LittleEndian.AppendUint32(dst, key)
	at := len(dst)
	dst = append(dst, payload...)
	mask(dst[at:], key)
	return dst
}

func mask(b []byte, key uint32) {
	wide := uint64(key)<<32 | uint64(key)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * (i & 3))) //nolint:gosec // one byte of the key
	}
}

// CloseStatus takes a close frame's payload apart; 1005 stands for none
// (RFC 6455 section 7.1.5).
func CloseStatus(payload []byte) (code uint16, reason string) {
	if len(payload) < 2 {
		return 1005, ""
	}
	return binary.BigEndian.Uint16(payload), string(payload[2:])
}
