package wire

import (
	"encoding/binary"
	"sync"
)

// headerSpace is the longest header of an unmasked frame (RFC 6455 section
// 5.2): two bytes and a 64-bit length.
const headerSpace = 10

// Frame is one encoded message, shared by all its receivers. It is immutable
// after NewFrame, and may be queued on any number of connections. Server
// frames are unmasked, so even the WebSocket header is the same for everyone:
// it is laid down once, in front of the payload.
type Frame struct {
	buf   []byte // header and payload
	start int    // where the header begins
	Op    Op

	// What the slow policies need; set before the frame is shared.
	Room        string   // whose stream it stands in, "" for none
	Position    Position // of a publication in a room with history
	ConflateKey string
	Slow        SlowPolicy
	Notices     Notices // how to tell of it being left out; set unless Slow is SlowDisconnect

	// Parts are the messages that the frame stands for when one is not enough:
	// see Attach. nil: it stands for itself.
	Parts []*Frame

	deflate  sync.Once
	deflated []byte // guarded by deflate; nil if compression does not pay
}

// Notices makes the frames that tell one member of a room what it does not get.
// Safe for concurrent use.
type Notices interface {
	// Gap tells of a hole in the room's stream.
	Gap(room string, g Gap) *Frame
	// Skipped is a publication's frame that also tells how many of its room
	// were left out directly before it.
	Skipped(f *Frame, n uint64) *Frame
}

// Buffer returns an empty buffer with room for a payload of n bytes, to be
// appended to and given to NewFrame.
func Buffer(n int) []byte { return make([]byte, headerSpace, headerSpace+n) }

// NewFrame makes a frame of a buffer that began with Buffer. It takes
// ownership of buf.
func NewFrame(op Op, buf []byte) *Frame {
	f := &Frame{buf: buf, Op: op}
	f.start = putHeader(buf, 0x80|byte(op), len(buf)-headerSpace)
	return f
}

// putHeader writes a frame header so that it ends where the payload begins,
// and returns where it begins.
func putHeader(buf []byte, first byte, n int) int {
	switch {
	case n < 126:
		buf[headerSpace-2], buf[headerSpace-1] = first, byte(n) //nolint:gosec // bounded by the case
		return headerSpace - 2
	case n < 1<<16:
		buf[headerSpace-4], buf[headerSpace-3] = first, 126
		binary.BigEndian.PutUint16(buf[headerSpace-2:], uint16(n))
		return headerSpace - 4
	default:
		buf[0], buf[1] = first, 127
		binary.BigEndian.PutUint64(buf[2:], uint64(n))
		return 0
	}
}

// Attach makes the frame stand for its own message with binary ones directly
// behind it, which go together: no slow policy leaves any of them out. Call it before the frame is shared, once all but Slow
// and Notices is set; who sends the frame sends its Parts.
func (f *Frame) Attach(data [][]byte) {
	f.Parts = append(make([]*Frame, 0, 1+len(data)), &Frame{buf: f.buf, start: f.start, Op: f.Op, Room: f.Room, Position: f.Position})
	for _, d := range data {
		f.Parts = append(f.Parts, NewFrame(Binary, append(Buffer(len(d)), d...)))
	}
}

// Payload is the encoded message. It must not be modified.
func (f *Frame) Payload() []byte { return f.buf[headerSpace:] }

// WebSocket is the message as one whole, unmasked, final frame of RFC 6455.
// It must not be modified.
func (f *Frame) WebSocket() []byte { return f.buf[f.start:] }

// Deflated is the message as one compressed frame (RFC 7692, RSV1 set, no
// context takeover). compress is called once for all receivers and returns the
// raw DEFLATE payload without its 00 00 ff ff tail, or nil when compression
// does not pay; then the uncompressed frame is returned.
func (f *Frame) Deflated(compress func(payload []byte) []byte) []byte {
	f.deflate.Do(func() {
		if c := compress(f.Payload()); c != nil {
			buf := append(Buffer(len(c)), c...)
			f.deflated = buf[putHeader(buf, 0xC0|byte(f.Op), len(c)):]
		}
	})
	if f.deflated == nil {
		return f.WebSocket()
	}
	return f.deflated
}
