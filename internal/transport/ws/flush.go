package ws

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// flushTurns is how often one connection is written before others have their
// turn.
const flushTurns = 4

// corkBytes is how much may be queued for a worker to write after what it has
// read, if that is not most of a queue; with more, a flusher begins.
const corkBytes = 32 << 10

// flusher writes for its share of the parked connections.
type flusher struct {
	srv     *Server
	pending atomic.Int64 // bytes queued on its connections and never attempted
	wake    chan struct{}

	mu      sync.Mutex
	list    []*conn // guarded by mu: connections with something to write
	asleep  bool    // guarded by mu: whoever resets it must send on wake
	stopped bool    // guarded by mu

	_ [64]byte // keeps neighbours apart
}

func newFlusher(s *Server) *flusher {
	return &flusher{srv: s, wake: make(chan struct{}, 1)}
}

// push hands a connection over. Called with the connection's mu held.
func (f *flusher) push(c *conn) {
	f.mu.Lock()
	f.list = append(f.list, c)
	f.unlockAndWake()
}

func (f *flusher) stop() {
	f.mu.Lock()
	f.stopped = true
	f.unlockAndWake()
}

func (f *flusher) unlockAndWake() {
	wake := f.asleep
	f.asleep = false
	f.mu.Unlock()
	if wake {
		f.wake <- struct{}{} // has room: asleep was true
	}
}

// run is the flusher's goroutine.
func (f *flusher) run() {
	b := newBatch()
	var work []*conn
	for {
		f.mu.Lock()
		switch {
		case len(f.list) > 0:
			f.list, work = work[:0], f.list
		case f.stopped:
			f.mu.Unlock()
			return
		default:
			f.asleep = true
			f.mu.Unlock()
			<-f.wake
			continue
		}
		f.mu.Unlock()
		for i, c := range work {
			work[i] = nil
			c.flush(b)
		}
	}
}

// scheduleLocked tells a writer that something is queued.
func (c *conn) scheduleLocked() {
	if c.scheduled || c.blocked || c.dead || c.queue == nil {
		return
	}
	if c.corked && c.queued < min(corkBytes, c.srv.cfg.SendQueueBytes/4) {
		return
	}
	if c.parked {
		c.scheduled = true
		c.shard.push(c)
		return
	}
	c.scheduled = c.srv.spawn(c.writeAlone)
}

// flush writes what is queued until the queue is empty, the peer's window is
// full, or others must have their turn.
func (c *conn) flush(b *batch) {
	for range flushTurns {
		if !c.writeOnce(b) {
			return
		}
	}
	c.mu.Lock()
	c.scheduled = false
	c.scheduleLocked()
	c.mu.Unlock()
}

// writeAlone is the writer of a connection with a goroutine; it lives while
// something is queued.
func (c *conn) writeAlone() {
	b := c.srv.batches.get()
	for c.writeOnce(b) {
	}
	c.srv.batches.put(b)
}

// writeOnce writes one batch; false when the writer's part is over.
func (c *conn) writeOnce(b *batch) bool {
	c.mu.Lock()
	if !c.takeLocked(b) {
		c.mu.Unlock()
		return false
	}
	c.mu.Unlock()
	n, err := c.sock.write(b.segs)
	b.reset()
	return c.wrote(n, err)
}

// wrote goes on after n bytes of the queue were written; false when the
// writer's part is over.
func (c *conn) wrote(n int, err error) bool {
	c.mu.Lock()
	more, shut := c.wroteLocked(n, err)
	c.mu.Unlock()
	if !shut {
		if !more {
			c.srv.budget.enforce() // the queue may be one that waits from now on
		}
		return more
	}
	ok := c.sock.closeWrite() // may take its time under TLS: not under mu
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	if !ok {
		c.cutLocked(abnormal("closed"), false)
	}
	c.releaseLocked()
	return false
}

// takeLocked fills a batch; false when there is nothing to write.
func (c *conn) takeLocked(b *batch) bool {
	c.settleLocked()
	if c.dead || c.emptyLocked() {
		c.endLocked()
		return false
	}
	if c.queue.late && c.queue.keyed > 0 {
		c.conflateLocked()
	}
	b.reset()
	c.gatherLocked(b)
	c.writing = true
	if c.progress == 0 || !c.parked {
		c.progress = c.srv.now()
	}
	if !c.parked {
		c.setDueLocked(c.progress, c.progress+c.srv.cfg.WriteTimeout)
	}
	return true
}

// emptyLocked reports whether nothing is queued.
func (c *conn) emptyLocked() bool { return c.queue == nil || c.queue.len() == 0 }

// endLocked ends the writer's part.
func (c *conn) endLocked() {
	c.scheduled = false
	c.recycleLocked()
}

// gatherLocked fills a batch from the head of the queue.
func (c *conn) gatherLocked(b *batch) {
	q := c.queue
	for _, it := range q.items[q.head:] {
		p := c.itemLocked(it)
		if q.taken == 0 {
			p = p[q.sent:]
		}
		if !b.add(p) {
			return
		}
		if it.hole != nil {
			it.hole.busy = true
		}
		q.taken++
	}
}

// wroteLocked notes that n bytes were written. more tells the writer to go on;
// shut, to close the writing side, with the writer's part still its own.
func (c *conn) wroteLocked(n int, err error) (more, shut bool) {
	c.srv.stats.bytesOut.Add(int64(n))
	closed := c.advanceLocked(n)
	if c.held > 0 {
		c.holdLocked(c.queued)
	}
	if closed && !c.dead {
		shut = c.closeWrittenLocked()
	}
	if shut {
		return false, true
	}
	c.writing = false
	switch {
	case c.dead:
		c.endLocked()
		c.releaseLocked()
		return false, false
	case err == nil && c.emptyLocked():
		c.endLocked()
		return false, false
	}
	return c.moreLocked(n, err), false
}

// moreLocked goes on where something is left after n bytes were written; false
// when the writer's part is over.
func (c *conn) moreLocked(n int, err error) bool {
	if n > 0 {
		c.progress = c.srv.now()
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, errAgain):
		c.blockLocked()
	default:
		c.scheduled = false
		c.cutLocked(abnormal("connection lost"), false)
	}
	return false
}

// blockLocked waits for the peer to read: no writer has it any more, an event
// brings it back.
func (c *conn) blockLocked() {
	c.settleLocked()
	c.scheduled, c.blocked, c.queue.late = false, true, true
	c.holdLocked(c.queued)
	c.setDueLocked(c.srv.now(), c.progress+c.srv.cfg.WriteTimeout)
	c.armLocked()
}

// advanceLocked takes n written bytes off the queue. It reports whether a
// close frame was among them.
func (c *conn) advanceLocked(n int) (closed bool) {
	q := c.queue
	if q == nil {
		return false
	}
	c.queued -= n
	frames, end := 0, q.head+q.taken
	for n > 0 {
		it := q.items[q.head]
		left := len(c.itemLocked(it)) - q.sent
		if n < left {
			q.sent += n
			break
		}
		n -= left
		closed = it.frame != nil && it.frame.Op == opClose
		q.items[q.head] = item{}
		q.head, q.sent = q.head+1, 0
		frames++
	}
	q.taken = 0
	q.releaseHoles(end)
	c.srv.stats.framesOut.Add(int64(frames))
	return closed
}

// pingFrame is the one ping that every connection sends.
func pingFrame() *wire.Frame { return wire.NewFrame(opPing, wire.Buffer(0)) }
