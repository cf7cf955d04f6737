package socketio

import (
	"bytes"
	"strings"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Connection state recovery: a client that was given a pid keeps the last
// argument of each event if that is a string, and gives the last such string
// back with its pid as its offset.

// Recoverable is the codec for clients whose sessions can be recovered: a
// publication with a position has as its last argument a string that names its
// room and position, which ParseOffset reads. No other publication ends in a
// string: one without a second argument whose data is a string gets {}.
func (c Codec) Recoverable() Codec {
	c.offsets = true
	return c
}

// appendOffset appends the last argument of a publication. A room's name and a
// position need no escapes, and have no space.
func appendOffset(b []byte, p *wire.Publication) []byte {
	switch {
	case p.Position.Offset > 0:
		b = append(append(append(b, `,"`...), p.Room...), ' ')
		b, _ = p.Position.AppendText(b)
		b = append(b, '"')
	case !placed(p.Room, p.Position) && b[len(b)-1] == '"':
		b = append(b, ",{}"...)
	}
	return b
}

// cutOffset returns a publication's payload up to its second argument's end, and
// what follows it, but for the array's end.
func (c Codec) cutOffset(f *wire.Frame) (head, offset []byte) {
	p := f.Payload()
	p = p[:len(p)-len("]")]
	switch {
	case !c.offsets:
	case f.Position.Offset > 0:
		at := bytes.LastIndexByte(p[:len(p)-1], '"') - len(",")
		return p[:at], p[at:]
	case !placed(f.Room, f.Position) && f.Parts == nil && bytes.HasSuffix(p, []byte(`",{}`)):
		return c.cutFiller(p), nil
	}
	return p, nil
}

// cutFiller cuts the {} that stands behind a string. What ends in it may be an
// event whose data is {}.
func (c Codec) cutFiller(p []byte) []byte {
	begin := len("42") + len(c.namespace)
	begin += bytes.IndexByte(p[begin:], '[') + 1
	begin += comma(p[begin:]) + 1 // behind the name
	if end := comma(p[begin:]); end >= 0 {
		return p[:begin+end]
	}
	return p
}

// ParseOffset reads the last argument of a publication, which a client gave
// back. Whatever else it may have taken for one is not ok.
func ParseOffset(text string) (room string, at wire.Position, ok bool) {
	room, pos, _ := strings.Cut(text, " ")
	at, err := wire.ParsePosition(pos)
	if err != nil || !wire.ValidRoom(room) {
		return "", wire.Position{}, false
	}
	return room, at, true
}
