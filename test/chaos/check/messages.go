package check

import (
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// message is what was published under a key.
type message struct {
	room string
	sum  uint64
	sent time.Duration
}

// place is where an entry stands.
type place struct {
	room string
	Entry
}

// link is an entry in an epoch. After a promotion an entry may come to stand
// elsewhere, or behind another one, but never in the same epoch.
type link struct {
	place
	epoch uint64
}

// before is the entry before one, and who saw it there.
type before struct {
	nonce uint64
	who   string
	at    time.Duration
}

type keyed struct {
	room  string
	epoch uint64
	key   string
}

// sighting is where a key was seen first.
type sighting struct {
	Entry
	at time.Duration
}

// epoch is one of a room, and when it was seen first.
type epoch struct {
	id uint64
	at time.Duration
}

// known notes that a key stands at a position.
func (c *checker) known(e *Event) {
	c.epochSeen(e)
	at := Entry{e.Pos.Offset, e.Pos.Nonce}
	p := place{e.Room, at}
	if name, named := c.names[p]; !named {
		c.names[p] = e.Key
	} else if name != e.Key {
		c.fail(Content, e.At, "%s: entry %v of %s is %s, to others %s", e.Who, e.Pos, e.Room, e.Key, name)
	}
	k := keyed{e.Room, e.Pos.Epoch, e.Key}
	was, seen := c.inEpoch[k]
	switch {
	case !seen:
		c.inEpoch[k] = sighting{at, e.At}
	case was.Entry != at && !c.promotedSince(c.epochBegan(e.Room, e.Pos.Epoch), e.At):
		c.fail(Twice, e.At, "%s stands in %s at %v and, in the same epoch, at offset %d", e.Key, e.Room, e.Pos, was.Offset)
	}
}

// follows notes which entry stands before one.
func (c *checker) follows(who, room string, epoch uint64, was, at Entry, when time.Duration) {
	l, now := link{place{room, at}, epoch}, before{was.Nonce, who, when}
	known, ok := c.chain[l]
	switch {
	case !ok:
		c.chain[l] = now
	case known.nonce != was.Nonce:
		c.forks = append(c.forks, fork{l, known, now})
	}
}

// fork is an entry that follows different ones.
type fork struct {
	link
	one, other before
}

// judgeForks judges forks once all epochs are known: a promotion may have made
// one, if it ended the epoch too.
func (c *checker) judgeForks() {
	for _, f := range c.forks {
		if !c.endedByPromotion(f.room, f.epoch, f.other.at) {
			c.fail(Forked, f.other.at, "%s: in %s offset %d follows another entry than it does to %s at %.3fs",
				f.other.who, f.room, f.Offset, f.one.who, f.one.at.Seconds())
		}
	}
}

// endedByPromotion tells whether an epoch that was alive at a time was ended by
// a promotion around then.
func (c *checker) endedByPromotion(room string, id uint64, at time.Duration) bool {
	for i, known := range c.epochs[room] {
		if known.id == id && i+1 < len(c.epochs[room]) {
			next := c.epochs[room][i+1].at
			return next <= at+c.rules.Settle && c.broken(next, next, Promotion)
		}
	}
	return false
}

// promotedSince tells whether a promotion may have changed what an epoch holds
// between two times.
func (c *checker) promotedSince(from, to time.Duration) bool {
	return c.broken(from, to, Promotion)
}

// broken tells whether a break of some cause explains what happened between
// two times.
func (c *checker) broken(from, to time.Duration, causes ...Cause) bool {
	for _, b := range c.rec.Breaks {
		for _, cause := range causes {
			if b.Cause == cause && b.Start <= to && b.End+c.rules.Settle >= from {
				return true
			}
		}
	}
	return false
}

// epochSeen notes an epoch, and judges whether there may be as many.
func (c *checker) epochSeen(e *Event) {
	id := e.Pos.Epoch
	if id == 0 {
		return
	}
	list := c.epochs[e.Room]
	for _, known := range list {
		if known.id == id {
			return
		}
	}
	c.epochs[e.Room] = append(list, epoch{id, e.At})
	if breaks := c.begun(e.At); len(list) > breaks {
		c.fail(Epochs, e.At, "%s sees epoch %d of %s, but there were only %d breaks", e.Who, len(list)+1, e.Room, breaks)
	}
}

// begun counts the breaks that had begun at a time.
func (c *checker) begun(at time.Duration) int {
	n := 0
	for _, b := range c.rec.Breaks {
		if b.Start <= at {
			n++
		}
	}
	return n
}

func (c *checker) epochBegan(room string, id uint64) time.Duration {
	for _, known := range c.epochs[room] {
		if known.id == id {
			return known.at
		}
	}
	return 0
}

// acknowledged judges an answer to a publisher.
func (c *checker) acknowledged(e *Event) {
	c.Acknowledged++
	if e.Pos.Offset == 0 || e.Pos.Epoch == 0 {
		c.fail(Unplaced, e.At, "%s: %s is acknowledged in %s without a position (%v)", e.Who, e.Key, e.Room, e.Pos)
		c.unplaced = append(c.unplaced, *e)
		return
	}
	c.known(e)
	c.acks = append(c.acks, *e)
	c.acked[e.Gateway] = append(c.acked[e.Gateway], service{e.From, e.At})
}

// content judges what arrived under a key.
func (c *checker) content(who, room, key string, sum uint64, pos wire.Position, at time.Duration) {
	m := c.messages[key]
	switch {
	case m == nil:
		c.fail(Content, at, "%s sees %q at %v of %s, which nobody published", who, key, pos, room)
	case m.room != room:
		c.fail(Content, at, "%s sees %s at %v of %s, which was published in %s", who, key, pos, room, m.room)
	case m.sum != sum:
		c.fail(Content, at, "%s sees %s at %v of %s with another content", who, key, pos, room)
	}
}
