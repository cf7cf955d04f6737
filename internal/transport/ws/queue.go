package ws

import (
	"sync"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Bounds of one write.
const (
	batchScratch = 16 << 10  // small frames are copied side by side into this
	batchSmall   = 1 << 10   // what counts as small: a copy is cheaper than a slice of its own
	batchSlices  = 64        // slices of one writev
	batchBytes   = 256 << 10 // of one writev
	queueKeep    = 1024      // a queue that grew beyond this many frames is not pooled
)

// queue holds frames that wait to be written. A connection has one only while
// something waits. Guarded by the connection's mu.
type queue struct {
	items []item
	head  int // items before it are written
	sent  int // bytes of the head item that are written
	taken int // items from head on that a write in progress may hold

	// What the slow policies know (slow.go).
	loose int              // bytes in frames that may be dropped, at most
	keyed int              // frames that may be conflated, since that was last done
	late  bool             // the peer's window was full since the queue was empty
	open  map[string]*hole // by room: a gap that nothing of the room follows; nil without one
}

// item is a frame that waits, or a hole, or a frame with a hole in front of it.
type item struct {
	frame *wire.Frame // nil in a hole that stands for itself
	hole  *hole       // what is left out here; nil in nearly every item
}

type queues struct{ pool sync.Pool }

func (qs *queues) get() *queue {
	if q, ok := qs.pool.Get().(*queue); ok {
		return q
	}
	return &queue{items: make([]item, 0, 8)}
}

func (qs *queues) put(q *queue) {
	if cap(q.items) > queueKeep {
		return
	}
	clear(q.items)
	*q = queue{items: q.items[:0]}
	qs.pool.Put(q)
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(it item) {
	if q.head >= 64 && q.head*2 >= len(q.items) { // reuse what is written
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, it)
}

// free is where the items begin that are not on their way: behind those of a
// write in progress and a partly written head.
func (q *queue) free() int {
	n := q.head + q.taken
	if q.sent > 0 {
		n = max(n, q.head+1)
	}
	return n
}

// cut drops the items from n on.
func (q *queue) cut(n int) {
	clear(q.items[n:])
	q.items = q.items[:n]
}

// batch is what one write takes: slices of frames, small ones copied side by
// side. Owned by a writer; it keeps no frame between writes.
type batch struct {
	segs    [][]byte
	scratch []byte
	from    int // where in scratch the last slice begins, -1 if it is not there
	size    int
}

// batches lends out batches to writers that are no flushers.
type batches struct{ pool sync.Pool }

func (bs *batches) get() *batch {
	if b, ok := bs.pool.Get().(*batch); ok {
		return b
	}
	return newBatch()
}

func (bs *batches) put(b *batch) { bs.pool.Put(b) }

func newBatch() *batch {
	return &batch{segs: make([][]byte, 0, batchSlices), scratch: make([]byte, 0, batchScratch)}
}

func (b *batch) reset() {
	clear(b.segs)
	b.segs, b.scratch, b.from, b.size = b.segs[:0], b.scratch[:0], -1, 0
}

// add takes p unless the batch is full.
func (b *batch) add(p []byte) bool {
	if b.size >= batchBytes {
		return false
	}
	if len(p) > batchSmall {
		if len(b.segs) == batchSlices {
			return false
		}
		b.segs, b.from = append(b.segs, p), -1
		b.size += len(p)
		return true
	}
	at := len(b.scratch)
	if at+len(p) > cap(b.scratch) || b.from < 0 && len(b.segs) == batchSlices {
		return false
	}
	b.scratch = append(b.scratch, p...)
	if b.from < 0 {
		b.segs, b.from = append(b.segs, nil), at
	}
	b.segs[len(b.segs)-1] = b.scratch[b.from:]
	b.size += len(p)
	return true
}
