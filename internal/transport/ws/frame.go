package ws

import (
	"encoding/binary"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Opcodes of RFC 6455 section 5.2 beside those of wire.Op.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA

	opControl = 0x8 // set in every control opcode

	maxControl = 125 // longest payload of a control frame, section 5.5
	maskBytes  = 4
)

// limits bound what one message of a client may take.
type limits struct {
	payload   int  // bytes of an uncompressed message
	deflated  int  // compressed bytes of a compressed message
	fragments int  // frames of a message, so that empty ones end
	deflate   bool // permessage-deflate was negotiated
}

// header is one parsed frame header.
type header struct {
	fin, rsv1 bool
	op        byte
	size      int // of the header itself
	length    int // of the payload
}

func (h header) total() int { return h.size + h.length }

// unit is what the framer exposes: one complete control frame, or one complete
// message as its frames, contiguous in memory. The zero unit is nothing.
type unit struct {
	op       byte
	deflated bool
	payload  int    // bytes of the message, of all frames, as sent
	frames   []byte // headers and payloads, still masked
}

// framer finds complete units in a stream of client frames. It reads headers
// only, and refuses whatever breaks a rule or a limit on the header alone,
// before the payload has come. Owned by the reader.
type framer struct {
	kept      int   // bytes at the buffer's start that are frames of the open message
	payload   int   // payload bytes of the open message
	fragments int32 // frames of the open message
	op        byte  // opcode of the open message, 0 if none is open
	deflated  bool
}

// fault is a broken rule: the close code it calls for and a reason.
type fault struct {
	code   wire.CloseCode
	reason string
}

// scan is one pass over a buffer: [start,kept) are frames of the open message,
// [read,len) has not been looked at. Control frames between fragments are
// taken out by moving later fragments down, each byte once.
type scan struct {
	buf               []byte
	start, kept, read int
}

// scan begins a pass over what earlier passes kept and what came since.
func (f *framer) scan(buf []byte) scan {
	return scan{buf: buf, kept: f.kept, read: f.kept}
}

// next returns the next complete unit, or the zero unit when more bytes are
// needed. A unit is valid until the following call.
func (f *framer) next(s *scan, lim limits) (unit, *fault) {
	for {
		h, ok, broken := parseHeader(s.buf[s.read:])
		if broken == nil && ok {
			broken = f.admit(h, lim)
		}
		if broken != nil {
			return unit{}, broken
		}
		if !ok || len(s.buf)-s.read < h.total() {
			return unit{}, nil
		}
		frame := s.buf[s.read : s.read+h.total()]
		s.read += len(frame)
		if h.op >= opControl {
			return unit{op: h.op, payload: h.length, frames: frame}, nil
		}
		if u, whole := f.take(s, h, frame); whole {
			return u, nil
		}
	}
}

// take adds a data frame to the open message.
func (f *framer) take(s *scan, h header, frame []byte) (unit, bool) {
	if h.op != opContinuation {
		f.op, f.deflated = h.op, h.rsv1
	}
	if s.kept+len(frame) != s.read {
		copy(s.buf[s.kept:], frame)
	}
	s.kept += len(frame)
	f.payload += h.length
	f.fragments++
	if !h.fin {
		return unit{}, false
	}
	u := unit{op: f.op, deflated: f.deflated, payload: f.payload, frames: s.buf[s.start:s.kept]}
	*f = framer{}
	s.start, s.kept = s.read, s.read
	return u, true
}

// rest moves what must be kept to the start of the scanned buffer and returns
// it. The framer remembers how much of it has been looked at.
func (f *framer) rest(s *scan) []byte {
	if s.start == 0 && s.read == s.kept { // all of it is in place
		f.kept = s.kept
		return s.buf
	}
	f.kept = copy(s.buf, s.buf[s.start:s.kept])
	return s.buf[:f.kept+copy(s.buf[f.kept:], s.buf[s.read:])]
}

// open reports whether a message has begun and not ended.
func (f *framer) open() bool { return f.op != 0 }

// admit checks a header against the open message and the limits.
func (f *framer) admit(h header, lim limits) *fault {
	switch {
	case h.op >= opControl:
		return nil
	case h.op == opContinuation && !f.open():
		return &fault{wire.CloseProtocolError, "continuation without a message"}
	case h.op != opContinuation && f.open():
		return &fault{wire.CloseProtocolError, "new message inside a message"}
	case h.rsv1 && (!lim.deflate || h.op == opContinuation):
		return &fault{wire.CloseProtocolError, "unexpected RSV1"}
	}
	return f.admitSize(h, lim)
}

func (f *framer) admitSize(h header, lim limits) *fault {
	most := lim.payload
	if f.deflated || h.rsv1 {
		most = lim.deflated
	}
	if h.length > most-f.payload {
		return &fault{wire.CloseTooBig, "message too big"}
	}
	if int(f.fragments) >= lim.fragments {
		return &fault{wire.CloseTooBig, "too many fragments"}
	}
	return nil
}

// parseHeader reads one frame header. It reports false while bytes are
// missing, but a broken rule as soon as it shows.
func parseHeader(b []byte) (header, bool, *fault) {
	if len(b) < 2 {
		return header{}, false, nil
	}
	h := header{fin: b[0]&0x80 != 0, rsv1: b[0]&0x40 != 0, op: b[0] & 0x0F, size: 2 + maskBytes, length: int(b[1] & 0x7F)}
	if broken := checkBits(h, b); broken != nil {
		return header{}, false, broken
	}
	switch h.length {
	case 126:
		return extend(h, b, 2, 126)
	case 127:
		return extend(h, b, 8, 1<<16)
	}
	return h, len(b) >= h.size, nil
}

// checkBits checks what the first two bytes of a frame tell.
func checkBits(h header, b []byte) *fault {
	switch {
	case b[0]&0x30 != 0, h.rsv1 && h.op >= opControl:
		return &fault{wire.CloseProtocolError, "unexpected RSV bits"}
	case h.op > opBinary && h.op < opControl, h.op > opPong:
		return &fault{wire.CloseProtocolError, "unknown opcode"}
	case b[1]&0x80 == 0:
		return &fault{wire.CloseProtocolError, "unmasked frame"}
	case h.op >= opControl:
		return checkControl(h)
	}
	return nil
}

// checkControl checks what is special about control frames (section 5.5).
func checkControl(h header) *fault {
	switch {
	case !h.fin:
		return &fault{wire.CloseProtocolError, "fragmented control frame"}
	case h.length > maxControl:
		return &fault{wire.CloseProtocolError, "control frame too long"}
	}
	return nil
}

// extend reads an extended payload length of n bytes, which must be at least
// least: a longer form than needed is refused.
func extend(h header, b []byte, n int, least uint64) (header, bool, *fault) {
	h.size += n
	if len(b) < 2+n {
		return h, false, nil
	}
	var v uint64
	if n == 2 {
		v = uint64(binary.BigEndian.Uint16(b[2:]))
	} else {
		v = binary.BigEndian.Uint64(b[2:])
	}
	switch {
	case v < least:
		return h, false, &fault{wire.CloseProtocolError, "length not minimal"}
	case v > 1<<62:
		return h, false, &fault{wire.CloseProtocolError, "length out of range"}
	case v > 1<<30:
		return h, false, &fault{wire.CloseTooBig, "message too big"}
	}
	h.length = int(v)
	return h, len(b) >= h.size, nil
}

// unmask undoes the masking of one complete frame in place and returns its
// payload (RFC 6455 section 5.3). Used for control frames; messages go through
// a decoder.
func unmask(frame []byte, payload int) []byte {
	at := len(frame) - payload
	key := frame[at-maskBytes : at]
	for i := range frame[at:] {
		frame[at+i] ^= key[i&3]
	}
	return frame[at:]
}
