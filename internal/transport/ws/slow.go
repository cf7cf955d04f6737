package ws

import "github.com/moonx-farm/ws-gateway/internal/wire"

// What the slow policies of rooms do to a queue. Nothing here runs for a peer
// that reads: a queue is gone through when it is full, or when its peer's
// window is, and then seldom enough to cost a frame a constant.

const (
	conflateMin = 64 // frames that may be conflated before it is worth a look
	spareShare  = 16 // making room must leave this share of the bound free
)

// pushedLocked notes a frame that a slow policy may take away again, or that
// follows a gap.
func (c *conn) pushedLocked(f *wire.Frame, n int) {
	q := c.queue
	if q.open != nil && f.Room != "" {
		delete(q.open, f.Room)
	}
	switch {
	case f.Slow == wire.SlowDropOldest:
		q.loose += n
	case f.Slow == wire.SlowConflate && f.ConflateKey != "":
		q.keyed++
		if c.behindLocked() && q.keyed >= max(conflateMin, q.len()/2) {
			c.conflateLocked()
		}
	}
}

// behindLocked reports whether the peer reads slower than it is sent to.
func (c *conn) behindLocked() bool {
	if c.parked {
		return c.blocked
	}
	return c.writing && c.queued > writeChunk
}

// room is what became of the wish for room in a full queue.
type room uint8

const (
	roomMade    room = iota
	roomLeftOut      // the frame itself is left out
	roomNone
)

// makeRoomLocked makes room for a frame of n bytes, as far as slow policies
// allow. If there is little to gain, a frame that may be dropped is left out
// itself, and any other finds no room: to go through a full queue for every
// frame would cost too much.
func (c *conn) makeRoomLocked(f *wire.Frame, n int) room {
	bound := c.boundLocked()
	spare, loose := bound/spareShare, f.Slow == wire.SlowDropOldest
	if loose && c.queue.loose < spare {
		c.leaveOutLocked(f)
		return roomLeftOut
	}
	c.conflateLocked()
	c.dropOldestLocked(bound - bound/4 - n)
	switch {
	case c.queued+n <= bound-spare:
		return roomMade
	case loose:
		c.leaveOutLocked(f)
		return roomLeftOut
	}
	return roomNone
}

// leaveOutLocked leaves out a frame that is not in the queue yet.
func (c *conn) leaveOutLocked(f *wire.Frame) {
	q := c.queue
	c.srv.stats.dropped.Add(1)
	if h := q.open[f.Room]; h != nil && !h.busy {
		h.grow(1, f.Position)
		return
	}
	h := newGap(f)
	if q.open == nil {
		q.open = map[string]*hole{}
	}
	q.open[f.Room] = h
	q.push(item{hole: h})
	c.countLocked(h.size)
}

// dropOldestLocked drops the oldest frames that may be dropped until no more
// than goal bytes are queued. Each room's gap stands where its first missing
// frame stood, and takes in the gaps that it meets.
func (c *conn) dropOldestLocked(goal int) {
	q := c.queue
	if q.loose == 0 || c.queued <= goal {
		return
	}
	if q.open == nil {
		q.open = map[string]*hole{}
	}
	clear(q.open)
	q.loose = 0
	kept := q.free()
	for _, it := range q.items[kept:] {
		if c.dropOneLocked(&it, goal) {
			q.items[kept] = it
			kept++
		}
	}
	q.cut(kept)
	c.shrunkLocked()
}

// dropOneLocked drops one item if more than goal bytes are queued, and reports
// whether something of it stays: a gap, where the room has none to grow.
func (c *conn) dropOneLocked(it *item, goal int) (stays bool) {
	q, of := c.queue, it.room()
	gap := q.open[of]
	switch {
	case it.frame == nil && gap != nil:
		c.queued -= it.hole.size
		gap.grow(it.hole.n, it.hole.top)
		return false
	case it.frame == nil:
		q.open[of] = it.hole
		return true
	case it.frame.Slow == wire.SlowDropOldest && c.queued > goal:
		c.queued -= c.sizeLocked(*it)
		c.srv.stats.dropped.Add(1)
		if gap != nil {
			gap.grow(1, it.frame.Position)
			return false
		}
		gap = newGap(it.frame)
		c.queued += gap.size
		q.open[of], *it = gap, item{hole: gap}
		return true
	case it.frame.Slow == wire.SlowDropOldest:
		q.loose += c.sizeLocked(*it)
	}
	if of != "" {
		delete(q.open, of)
	}
	return true
}

// shrunkLocked settles the accounts after items were taken out of a queue.
func (c *conn) shrunkLocked() {
	if n := c.fresh - c.queued; n > 0 {
		c.fresh -= n
		c.shard.pending.Add(-int64(n))
		c.srv.paced()
	}
	c.holdLocked(min(c.held, c.queued))
}

// conflation is what the latest publication replaces earlier ones of.
type conflation struct{ room, key string }

func conflationOf(f *wire.Frame) (conflation, bool) {
	if f == nil || f.Slow != wire.SlowConflate || f.ConflateKey == "" {
		return conflation{}, false
	}
	return conflation{f.Room, f.ConflateKey}, true
}

// conflateLocked keeps the latest of each conflate key.
func (c *conn) conflateLocked() {
	q := c.queue
	if q.keyed == 0 {
		return
	}
	q.keyed = 0
	first := q.free()
	latest := map[conflation]int{}
	for i := first; i < len(q.items); i++ {
		if key, ok := conflationOf(q.items[i].frame); ok {
			latest[key] = i
		}
	}
	skipped := map[string]uint64{} // by room: left out since its last frame
	kept := first
	for i := first; i < len(q.items); i++ {
		it := q.items[i]
		key, ok := conflationOf(it.frame)
		if ok && latest[key] != i {
			skipped[key.room] += it.skipped() + 1
			c.queued -= c.sizeLocked(it)
			c.srv.stats.conflated.Add(1)
			continue
		}
		if n := skipped[it.room()]; n > 0 {
			delete(skipped, it.room())
			c.skipLocked(&it, n)
		}
		q.items[kept] = it
		kept++
	}
	q.cut(kept)
	c.shrunkLocked()
}

// skipLocked notes that n publications are left out in front of an item. What
// is no publication says itself where the room's stream goes on.
func (c *conn) skipLocked(it *item, n uint64) {
	switch {
	case it.frame == nil || it.frame.Slow != wire.SlowConflate:
	case it.hole != nil:
		it.hole.grow(n, wire.Position{})
	default:
		it.hole = &hole{n: n, size: len(c.bytes(it.frame)) + skippedBytes}
		c.queued += skippedBytes
	}
}
