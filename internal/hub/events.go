package hub

import (
	"strconv"

	"github.com/moonx-farm/ws-gateway/internal/codec"
	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Published is the reply to a publish: "published {room, offset, pos}", without
// offset and pos in rooms without history.
func Published(p *session.Publish, pos wire.Position) wire.Event {
	b := make([]byte, 0, len(p.Room)+96)
	b = appendPosition(appendRoom(append(b, '{'), p.Room), pos)
	return wire.Event{Name: wire.EventPublished, ID: p.ID, Data: append(b, '}')}
}

// gapEvent is "gap {room, reason, from, offset, pos}", without the last three
// in rooms without history.
func gapEvent(room string, g wire.Gap) wire.Event {
	b := appendRoom([]byte{'{'}, room)
	b = append(b, `,"reason":`...)
	b = jsonscan.AppendQuoted(b, g.Reason)
	if g.Top.Epoch != 0 && (g.Reason != wire.GapSlow || g.Top.Offset != 0) {
		b = append(b, `,"from":`...)
		b = strconv.AppendUint(b, g.From, 10)
		b = append(b, `,"offset":`...)
		b = strconv.AppendUint(b, g.Top.Offset, 10)
		b = append(b, `,"pos":"`...)
		b, _ = g.Top.AppendText(b)
		b = append(b, '"')
	}
	return wire.Event{Name: wire.EventGap, Data: append(b, '}'), Room: room}
}

// notices tells members of a codec what their slow policy left out.
type notices struct{ codec codec.Codec }

var _ wire.Notices = notices{}

// Gap implements wire.Notices.
func (n notices) Gap(room string, g wire.Gap) *wire.Frame { return n.codec.Event(gapEvent(room, g)) }

// Skipped implements wire.Notices.
func (n notices) Skipped(f *wire.Frame, skipped uint64) *wire.Frame {
	return n.codec.Skipped(f, skipped)
}

// presenceData is "{room, userId}".
func presenceData(room, user string) []byte {
	b := append(appendRoom([]byte{'{'}, room), `,"userId":`...)
	return append(jsonscan.AppendQuoted(b, user), '}')
}

// appendRoom writes "room":"…". A room's name needs no escapes.
func appendRoom(b []byte, room string) []byte {
	return append(append(append(b, `"room":"`...), room...), '"')
}

// appendPosition writes ,"offset":n,"pos":"…", nothing for no position.
func appendPosition(b []byte, pos wire.Position) []byte {
	if pos.Offset == 0 {
		return b
	}
	b = append(b, `,"offset":`...)
	b = strconv.AppendUint(b, pos.Offset, 10)
	b = append(b, `,"pos":"`...)
	b, _ = pos.AppendText(b)
	return append(b, '"')
}
