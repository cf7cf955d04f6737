package ws

import "github.com/moonx-farm/ws-gateway/internal/wire"

const (
	holeBytes    = 192 // what a gap is taken to need until it is encoded
	skippedBytes = 32  // what a hole adds to a frame
)

// hole is what was left out at one place of a queue: a gap of its own (of a
// room that drops the oldest), or skipped in front of a frame (of a room that
// conflates). Guarded by the connection's mu.
type hole struct {
	room    string
	notices wire.Notices
	from    uint64        // of a gap: the offset before the first that is missing
	top     wire.Position // of a gap: the last that is missing
	n       uint64        // publications left out
	frame   *wire.Frame   // what tells of it, nil until it is needed or when it grew
	size    int           // what it counts in the queue, the frame behind it included
	busy    bool          // it is on its way, or written: it grows no more
}

func (h *hole) grow(n uint64, top wire.Position) {
	h.n += n
	h.top, h.frame = top, nil
}

func newGap(f *wire.Frame) *hole {
	h := &hole{room: f.Room, notices: f.Notices, top: f.Position, n: 1, size: holeBytes}
	if f.Position.Offset > 0 {
		h.from = f.Position.Offset - 1
	}
	return h
}

// room is the room that an item belongs to, "" without one.
func (it item) room() string {
	if it.frame == nil {
		return it.hole.room
	}
	return it.frame.Room
}

// skipped is what is left out in front of the item's frame.
func (it item) skipped() uint64 {
	if it.hole == nil {
		return 0
	}
	return it.hole.n
}

// sizeLocked is what an item counts in the queue.
func (c *conn) sizeLocked(it item) int {
	if it.hole != nil {
		return it.hole.size
	}
	return len(c.bytes(it.frame))
}

// itemLocked is an item as it is written.
func (c *conn) itemLocked(it item) []byte {
	h := it.hole
	if h == nil {
		return c.bytes(it.frame)
	}
	if h.frame == nil {
		if it.frame == nil {
			h.frame = h.notices.Gap(h.room, wire.Gap{Reason: wire.GapSlow, From: h.from, Top: h.top})
		} else {
			h.frame = it.frame.Notices.Skipped(it.frame, h.n)
		}
		n := len(c.bytes(h.frame))
		c.queued += n - h.size
		h.size = n
	}
	return c.bytes(h.frame)
}

// releaseHoles lets the holes grow again that a write took and did not write:
// those before end.
func (q *queue) releaseHoles(end int) {
	if q.open == nil {
		return
	}
	for i := q.free(); i < end; i++ {
		if h := q.items[i].hole; h != nil {
			h.busy = false
		}
	}
}
