package check

import (
	"math"
	"slices"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// era is the time of one log, between two breaks.
type era struct {
	// Nobody wrote to the log before from, or after to.
	from, to time.Duration
	begun    index
	ended    index
}

// index finds entries in logs, by room.
type index map[string]roomIndex

type roomIndex struct {
	list []Entry
	set  map[Entry]bool
}

func indexed(logs Logs) index {
	out := index{}
	for room, log := range logs {
		list := log.Entries
		set := make(map[Entry]bool, len(list))
		for _, e := range list {
			set[e] = true
		}
		out[room] = roomIndex{list, set}
	}
	return out
}

// has tells whether an entry is in a room's log, or has been trimmed from it.
func (x index) has(room string, e Entry, size int) bool {
	r := x[room]
	if r.set[e] {
		return true
	}
	return len(r.list) >= size && size > 0 && e.Offset < r.list[0].Offset
}

// eras cuts the history at its breaks.
func (c *checker) eras() []era {
	var out []era
	now := era{}
	for _, b := range c.rec.Breaks {
		now.to, now.ended = b.End, indexed(b.Before)
		out = append(out, now)
		now = era{from: b.Start, begun: indexed(b.After)}
	}
	now.to, now.ended = math.MaxInt64, indexed(c.rec.Final)
	return append(out, now)
}

// logs judges what stood in the logs against what was acknowledged.
func (c *checker) logs() {
	eras := c.eras()
	for i := range eras {
		c.kept(&eras[i])
		c.sound(c.logsOf(i), eras[i].to)
	}
	for i := range c.acks {
		c.stored(&c.acks[i], eras)
	}
	c.storedSomewhere(eras)
	for i, b := range c.rec.Breaks {
		c.survivors(b, eras[i].ended, eras[i+1].begun)
	}
}

func (c *checker) logsOf(era int) Logs {
	if era < len(c.rec.Breaks) {
		return c.rec.Breaks[era].Before
	}
	return c.rec.Final
}

// kept judges that what a log began with was there at its end.
func (c *checker) kept(e *era) {
	for room, r := range e.begun {
		for _, at := range r.list {
			if !e.ended.has(room, at, c.rules.Rooms[room].Size) {
				c.fail(Vanished, min(e.to, c.last()), "offset %d of %s was left by the break at %.3fs and is gone without another",
					at.Offset, room, e.from.Seconds())
			}
		}
	}
}

// sound judges one log by itself: offsets that rise by one, each after the
// entry that everybody saw it after, no key twice.
func (c *checker) sound(logs Logs, when time.Duration) {
	when = min(when, c.last())
	for room, log := range logs {
		list := log.Entries
		keys := map[string]Entry{}
		for i, at := range list {
			if i > 0 && at.Offset != list[i-1].Offset+1 {
				c.fail(Vanished, when, "in the log of %s offset %d follows %d", room, at.Offset, list[i-1].Offset)
			} else if i > 0 {
				c.follows("the log", room, log.Epoch, list[i-1], at, when)
			}
			key := c.names[place{room, at}]
			if key == "" {
				continue // nobody has seen it
			}
			if was, twice := keys[key]; twice {
				c.fail(Twice, when, "%s stands in the log of %s at offsets %d and %d", key, room, was.Offset, at.Offset)
			}
			keys[key] = at
		}
	}
}

// stored judges that an acknowledged message was in the log.
func (c *checker) stored(e *Event, eras []era) {
	at := Entry{e.Pos.Offset, e.Pos.Nonce}
	for i := range eras {
		if e.From <= eras[i].to && e.At >= eras[i].from && eras[i].ended.has(e.Room, at, c.rules.Rooms[e.Room].Size) {
			return
		}
	}
	c.fail(Lost, e.At, "%s was acknowledged at %v of %s and is not in the log", e.Key, e.Pos, e.Room)
}

// storedSomewhere judges that a message was in the log at all that was
// acknowledged without a position: by its key, as far as anybody has seen it.
func (c *checker) storedSomewhere(eras []era) {
	if len(c.unplaced) == 0 {
		return
	}
	places := map[string][]place{}
	for p, key := range c.names {
		places[key] = append(places[key], p)
	}
	for i := range c.unplaced {
		e := &c.unplaced[i]
		if !slices.ContainsFunc(places[e.Key], func(p place) bool {
			return slices.ContainsFunc(eras, func(era era) bool {
				return e.From <= era.to && era.ended.has(e.Room, p.Entry, c.rules.Rooms[e.Room].Size)
			})
		}) {
			c.fail(Lost, e.At, "%s was acknowledged in %s and is not in the log", e.Key, e.Room)
		}
	}
}

// survivors judges and counts what a break has taken away of what was
// acknowledged before it.
func (c *checker) survivors(b Break, before, after index) {
	for i := range c.acks {
		e := &c.acks[i]
		at, rule := Entry{e.Pos.Offset, e.Pos.Nonce}, c.rules.Rooms[e.Room]
		if e.At >= b.Start || !before[e.Room].set[at] || after.has(e.Room, at, rule.Size) {
			continue
		}
		switch {
		case b.Cause == Promotion && rule.Replicated:
			c.fail(NotDurable, b.Start, "%s was acknowledged as replicated at %v of %s, and the replica did not have it", e.Key, e.Pos, e.Room)
		case c.endedSince(e.Room, e.Pos.Epoch, b.Start):
			c.LostWithEpoch++
		default:
			c.LostUnnoticed++
		}
	}
}

// endedSince tells whether another epoch of a room was first seen after a time.
func (c *checker) endedSince(room string, id uint64, at time.Duration) bool {
	return slices.ContainsFunc(c.epochs[room], func(e epoch) bool { return e.id != id && e.at >= at })
}

// readers judges what the log's readers see against what stands there.
func (c *checker) readers() {
	for room, stored := range c.rec.Stored {
		log := c.rec.Final[room].Entries
		if size := c.rules.Rooms[room].Size; len(log) > size {
			log = log[len(log)-size:]
		}
		if len(stored) != len(log) {
			c.fail(Unreadable, c.last(), "readers see %d publications of %s, the log has %d", len(stored), room, len(log))
		}
		for i, s := range stored {
			if i < len(log) && (Entry{s.Pos.Offset, s.Pos.Nonce}) != log[i] {
				c.fail(Unreadable, c.last(), "readers see %v in %s where offset %d stands", s.Pos, room, log[i].Offset)
				break
			}
			e := Event{At: c.last(), Who: "the log's reader", Room: room, Key: s.Key, Pos: s.Pos}
			c.content(e.Who, room, s.Key, s.Sum, s.Pos, e.At)
			c.known(&e)
		}
	}
}

// tops judges that everybody has got everything.
func (c *checker) tops() {
	for who, rooms := range c.rec.Joined {
		for _, room := range rooms {
			log := c.rec.Final[room].Entries
			if len(log) == 0 {
				continue
			}
			top, at := log[len(log)-1], c.streams[stream{who, room}]
			if at == nil {
				at = &standing{}
			}
			if (Entry{at.last.Offset, at.last.Nonce}) != top {
				c.fail(Behind, c.last(), "%s stands at %s of %s, whose top is offset %d", who, spelled(at.last), room, top.Offset)
			}
		}
	}
}

func spelled(p wire.Position) string {
	if p.IsZero() {
		return "no position"
	}
	return p.String()
}

// last is the time of the last event.
func (c *checker) last() time.Duration {
	if n := len(c.rec.Events); n > 0 {
		return c.rec.Events[n-1].At
	}
	return 0
}
