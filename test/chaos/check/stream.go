package check

import (
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// stream is a room as one subscriber sees it.
type stream struct{ who, room string }

// standing is where a subscriber stands in a room.
type standing struct {
	in   bool // joined on the present connection
	last wire.Position
	at   time.Duration     // when it learned of last
	seen map[uint64]uint64 // nonces by offset since the last signal
}

func (c *checker) standing(e *Event) *standing {
	s := stream{e.Who, e.Room}
	at := c.streams[s]
	if at == nil {
		at = &standing{}
		c.streams[s] = at
	}
	return at
}

// signal puts a subscriber where a signal says, after which it knows nothing of
// what was before.
func (at *standing) signal(e *Event) {
	at.last, at.at, at.seen = e.Pos, e.At, map[uint64]uint64{}
}

// joined judges room_joined.
func (c *checker) joined(e *Event) {
	at := c.standing(e)
	if e.Pos.Epoch == 0 {
		c.fail(Hole, e.At, "%s joins %s at no position", e.Who, e.Room)
	}
	c.epochSeen(e)
	switch {
	case e.Since.IsZero():
		at.signal(e)
	case !e.Recovered:
		c.Refused[e.Reason]++
		if why := c.groundless(e, at); why != "" {
			c.fail(Refused, e.At, "%s may not resume %s from %v: %s at %v, %s", e.Who, e.Room, e.Since, e.Reason, e.Pos, why)
		}
		at.signal(e)
	default:
		c.Resumed++
		if e.Pos != e.Since {
			c.fail(Resumed, e.At, "%s resumes %s from %v instead of %v", e.Who, e.Room, e.Pos, e.Since)
			at.signal(e)
		}
		at.at = e.At // the position holds now
		if at.seen == nil {
			at.signal(e)
		}
	}
	at.in = true
}

// groundless says why there was no reason to refuse a position, "" if there was.
func (c *checker) groundless(e *Event, at *standing) string {
	missing := uint64(0)
	if e.Pos.Offset > e.Since.Offset {
		missing = e.Pos.Offset - e.Since.Offset
	}
	switch e.Reason {
	case "trimmed":
		if size := c.rules.Rooms[e.Room].Size; e.Pos.Epoch == e.Since.Epoch && missing <= uint64(size) {
			return "though the room keeps more than what is missing"
		}
	case "too_far_behind":
		if missing < c.rules.FarBehind {
			return "though little is missing"
		}
	case "epoch_changed":
		if !c.broken(at.at, e.At, Flush, Promotion) {
			return "though nothing has ended the epoch"
		}
	case "entry_changed", "ahead":
		if !c.broken(at.at, e.At, Promotion) {
			return "though no replica was promoted"
		}
	default:
		return "which is no reason here"
	}
	return ""
}

// publication judges one that arrived.
func (c *checker) publication(e *Event) {
	c.Received++
	at := c.standing(e)
	c.content(e.Who, e.Room, e.Key, e.Sum, e.Pos, e.At)
	if !at.in {
		c.fail(Stranger, e.At, "%s gets %s of %s without having joined", e.Who, e.Key, e.Room)
		return
	}
	c.known(e)
	if m := c.messages[e.Key]; m != nil {
		c.received[e.Gateway] = append(c.received[e.Gateway], service{m.sent, e.At})
	}
	switch next := at.last.Offset + 1; {
	case e.Pos.Epoch != at.last.Epoch:
		c.fail(Hole, e.At, "%s gets %v of %s after %v without a signal", e.Who, e.Pos, e.Room, at.last)
	case e.Pos.Offset > next:
		c.fail(Hole, e.At, "%s gets %v of %s after %v: %d are missing", e.Who, e.Pos, e.Room, at.last, e.Pos.Offset-next)
	case e.Pos.Offset < next:
		c.again(e, at)
		return
	default:
		c.follows(e.Who, e.Room, e.Pos.Epoch, Entry{at.last.Offset, at.last.Nonce}, Entry{e.Pos.Offset, e.Pos.Nonce}, e.At)
	}
	at.last, at.at = e.Pos, e.At
	at.seen[e.Pos.Offset] = e.Pos.Nonce
}

// again judges an offset that a subscriber has passed: a copy is no harm.
func (c *checker) again(e *Event, at *standing) {
	nonce, seen := at.seen[e.Pos.Offset]
	switch {
	case e.Pos == at.last || seen && nonce == e.Pos.Nonce:
		c.Repeats++
	case seen || e.Pos.Offset == at.last.Offset:
		c.fail(Replaced, e.At, "%s gets %v of %s, where it had another entry", e.Who, e.Pos, e.Room)
	default: // from before the position that it was told to go on from
		c.fail(Hole, e.At, "%s gets %v of %s behind %v", e.Who, e.Pos, e.Room, at.last)
	}
}

// gap judges the announcement of one.
func (c *checker) gap(e *Event) {
	c.Gaps[e.Reason]++
	at := c.standing(e)
	if !at.in {
		c.fail(Stranger, e.At, "%s is told of a gap in %s without having joined", e.Who, e.Room)
		return
	}
	c.epochSeen(e)
	if e.Offset != 0 && e.Offset != at.last.Offset {
		c.fail(Hole, e.At, "%s is told of a gap in %s after offset %d, but had got to %v", e.Who, e.Room, e.Offset, at.last)
	}
	grounded := false
	switch e.Reason {
	case "epoch_changed":
		grounded = c.broken(at.at, e.At, Flush, Promotion)
	case "history_lost":
		size := uint64(c.rules.Rooms[e.Room].Size)
		grounded = c.broken(at.at, e.At, Flush, Promotion) ||
			e.Pos.Epoch == at.last.Epoch && e.Pos.Offset > at.last.Offset+size
	}
	if !grounded {
		c.fail(Refused, e.At, "%s has a gap in %s from %v to %v without a cause: %s", e.Who, e.Room, at.last, e.Pos, e.Reason)
	}
	at.signal(e)
}
