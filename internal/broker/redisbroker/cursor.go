package redisbroker

import (
	"slices"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// cursor is how far the publications of a room have been handed on: everything
// from floor to at, without a hole. Guarded by its room's mu.
type cursor struct {
	known bool
	at    wire.Position
	// floor is where the hand-off began in the epoch: what a reader's page ends
	// before it, would leave a hole.
	floor uint64
	// refilled are the nonces of the entries up to at that were read from the
	// log, until something came live after them: these may still come, too.
	refilled []uint64
	// time is when the newest entry that was delivered was published, in
	// whatever epoch, Unix ms; 0 if none was.
	time int64
}

// refilledMost bounds what a cursor remembers of a refill.
const refilledMost = 512

// step is what to do with what came live.
type step uint8

const (
	deliver step = iota + 1
	drop         // it has been delivered
	look         // only the log can tell
)

// judge decides about a publication that follows the entry with the nonce prev,
// and moves on when it is to be delivered.
func (c *cursor) judge(pub *wire.Publication, prev uint64) step {
	pos := pub.Position
	switch {
	case pos.Offset == 0:
		return deliver // of a room without history, which has no order to check
	case !c.known:
		c.begin(wire.Position{Epoch: pos.Epoch, Offset: pos.Offset - 1, Nonce: prev})
	case pos.Epoch == c.at.Epoch && pos.Offset <= c.at.Offset:
		if c.recalls(pos) {
			return drop
		}
		return look
	case !follows(c.at, pos, prev):
		return look
	}
	c.advance(pub)
	c.refilled = nil // messages come in order: what was refilled has passed
	return deliver
}

// follows tells whether pos, before which stands the nonce prev, is the entry
// after at.
func follows(at, pos wire.Position, prev uint64) bool {
	return pos.Epoch == at.Epoch && pos.Offset == at.Offset+1 && prev == at.Nonce
}

// recalls tells whether a position is one that was refilled.
func (c *cursor) recalls(pos wire.Position) bool {
	back := c.at.Offset - pos.Offset
	n := uint64(len(c.refilled))
	return back < n && c.refilled[n-1-back] == pos.Nonce
}

// begin starts at a position that nothing before it is delivered of.
func (c *cursor) begin(at wire.Position) {
	c.known, c.at, c.floor, c.refilled = true, at, at.Offset, nil
}

func (c *cursor) advance(pub *wire.Publication) { c.at, c.time = pub.Position, pub.Time }

// refill moves on by a page of the log that follows at.
func (c *cursor) refill(page []*wire.Publication) {
	for _, p := range page {
		c.advance(p)
		c.refilled = append(c.refilled, p.Position.Nonce)
	}
	if over := len(c.refilled) - refilledMost; over > 0 {
		c.refilled = slices.Delete(c.refilled, 0, over)
	}
}

// contiguous tells whether a page follows at without a hole.
func (c *cursor) contiguous(page []*wire.Publication) bool {
	at := c.at
	for _, p := range page {
		if p.Position.Epoch != at.Epoch || p.Position.Offset != at.Offset+1 {
			return false
		}
		at = p.Position
	}
	return true
}

// meeting is what a reader's page and the cursor say together.
type meeting uint8

const (
	meets   meeting = iota + 1 // what follows the page comes live
	tooOld                     // the page ends before what comes live begins
	apart                      // one of them is not of the log as it is now
	unknown                    // nothing has come live yet
)

// meet compares the cursor with where a page ends that was read just now.
func (c *cursor) meet(top wire.Position) meeting {
	switch {
	case !c.known:
		return unknown
	case top.Epoch != c.at.Epoch || top.Offset == c.at.Offset && top.Nonce != c.at.Nonce:
		return apart
	case top.Offset < c.floor:
		return tooOld
	}
	return meets
}
