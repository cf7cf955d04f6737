package ws

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// role says where the reader's part is.
type role uint8

const (
	readerBusy role = iota // a goroutine reads or runs Receive
	readerIdle             // parked, or there is nothing to read any more
	readerHeld             // Receive returned false
	readerDone             // Closed is being called, or was
)

// conn is one connection. Its memory while idle is this struct; buffers, queue
// and goroutines come and go with traffic.
type conn struct {
	// Immutable once the handler is there.
	srv     *Server
	handler transport.Handler
	sock    socket
	shard   *flusher
	slot    uint32 // in the table
	gen     uint32
	deflate bool // permessage-deflate was negotiated
	parked  bool
	unasked bool // no pings: what stands above asks the peer for signs of life

	fd    fdSocket // what sock points to in parked mode
	timer wheel.Timer
	heard atomic.Int64 // time of the last inbound bytes

	// Owned by whoever has the reader's part.
	in     []byte // bytes of incomplete units, nil while there are none
	framer framer

	active atomic.Bool // the reader is at work, not waiting for the peer
	deaf   atomic.Bool // set under mu: no message is received any more
	failed atomic.Bool // set under mu: a rule was broken, input is thrown away

	mu         sync.Mutex
	role       role       // guarded by mu
	resumed    bool       // guarded by mu: Resume came before Receive returned
	scheduled  bool       // guarded by mu: a writer has it, or is told
	corked     bool       // guarded by mu: the reader will write what is queued (see uncork)
	writing    bool       // guarded by mu: a write is in progress
	blocked    bool       // guarded by mu: the peer's window is full
	closing    bool       // guarded by mu: nothing may be queued any more
	closeSent  bool       // guarded by mu
	peerClosed bool       // guarded by mu: the peer's close frame is here
	dead       bool       // guarded by mu: cut
	freed      bool       // guarded by mu: the descriptor is gone
	decided    bool       // guarded by mu: why is set
	byPeer     bool       // guarded by mu: the peer closed first
	why        wire.Close // guarded by mu
	queue      *queue     // guarded by mu; nil while empty
	queued     int        // guarded by mu: bytes in queue
	fresh      int        // guarded by mu: of these, never offered to the peer
	held       int        // guarded by mu: of these, counted in the budget
	holder     int        // guarded by budget.mu: its place there while held is not 0

	// Times since the server's birth; 0 is never. Guarded by mu.
	due          time.Duration // when the timer expires
	pinged       time.Duration // an unanswered ping was queued
	progress     time.Duration // the peer took bytes, while some are queued
	partialSince time.Duration // a message is incomplete
	closeBy      time.Duration // end of the closing handshake
}

var _ transport.Conn = (*conn)(nil)

// Send implements transport.Conn.
func (c *conn) Send(f *wire.Frame) bool {
	n := len(c.bytes(f)) // compresses at most once per frame, outside the lock
	c.mu.Lock()
	ok := c.queueLocked(f, n)
	if ok {
		c.scheduleLocked()
	}
	over := c.held > 0 && c.srv.budget.exceeded()
	c.mu.Unlock()
	if over {
		c.srv.budget.enforce()
	}
	return ok
}

// SendAll implements transport.Conn.
func (c *conn) SendAll(fs []*wire.Frame) bool {
	if c.deflate {
		for _, f := range fs {
			c.bytes(f)
		}
	}
	c.mu.Lock()
	ok := c.queueAllLocked(fs)
	over := c.held > 0 && c.srv.budget.exceeded()
	c.mu.Unlock()
	if over {
		c.srv.budget.enforce()
	}
	return ok
}

func (c *conn) queueAllLocked(fs []*wire.Frame) bool {
	for _, f := range fs {
		if !c.queueLocked(f, len(c.bytes(f))) {
			return false
		}
	}
	if len(fs) == 0 {
		return !c.closing
	}
	c.scheduleLocked()
	return true
}

// Resume implements transport.Conn.
func (c *conn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.role != readerHeld {
		c.resumed = true
		return
	}
	c.unholdLocked()
}

// unholdLocked lets reading go on, on a goroutine of its own: the caller's may
// not run the handler.
func (c *conn) unholdLocked() {
	c.role = readerBusy
	c.heard.Store(int64(c.srv.now()))
	if !c.srv.spawn(c.serveAlone) {
		c.role = readerHeld // shutdown has seen it, or will
	}
}

// Close implements transport.Conn.
func (c *conn) Close(why wire.Close) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.closeLocked(why)
}

// Abort implements transport.Conn.
func (c *conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cutLocked(abnormal("aborted"), true)
}

// bytes is the frame as this connection sends it.
func (c *conn) bytes(f *wire.Frame) []byte {
	if c.deflate && f.Op < opControl {
		return f.Deflated(c.srv.deflaters.compress)
	}
	return f.WebSocket()
}

// queueLocked queues a frame of n bytes, leaves it out if its slow policy says
// so, or cuts a connection that is too slow for it.
func (c *conn) queueLocked(f *wire.Frame, n int) bool {
	if c.closing {
		return false
	}
	if c.queued > 0 && c.queued+n > c.boundLocked() {
		switch c.makeRoomLocked(f, n) {
		case roomNone:
			c.srv.stats.slow.Add(1)
			c.tooSlowLocked("send queue full")
			return false
		case roomLeftOut:
			return true
		case roomMade:
		}
	}
	c.pushLocked(f, n)
	return true
}

// boundLocked is the bound of the queue. While the flusher has not come round
// to offering what is queued, the peer cannot be blamed, and gets as much
// again.
func (c *conn) boundLocked() int {
	bound := c.srv.cfg.SendQueueBytes
	if c.parked && !c.blocked {
		bound *= 2
	}
	return bound
}

// pushLocked queues without asking.
func (c *conn) pushLocked(f *wire.Frame, n int) {
	if c.queue == nil {
		c.queue = c.srv.queues.get()
	}
	c.queue.push(item{frame: f})
	c.countLocked(n)
	if f.Slow != wire.SlowDisconnect || c.queue.open != nil {
		c.pushedLocked(f, n)
	}
}

// countLocked counts n bytes that were queued.
func (c *conn) countLocked(n int) {
	c.queued += n
	if !c.blocked && (c.parked || !c.scheduled) {
		c.fresh += n
		c.shard.pending.Add(int64(n))
	} else {
		c.holdLocked(c.held + n)
	}
}

// tooSlowLocked drops what is queued and says goodbye.
func (c *conn) tooSlowLocked(reason string) {
	c.dropLocked()
	c.closeLocked(wire.Close{Code: wire.CloseTooSlow, Reason: reason})
}

// dropLocked drops what is queued but for what is on its way.
func (c *conn) dropLocked() {
	if c.queue == nil {
		return
	}
	c.queue.cut(c.queue.free())
	c.queue.open = nil
	c.settleLocked()
	c.queued = -c.queue.sent
	for _, it := range c.queue.items[c.queue.head:] {
		c.queued += c.sizeLocked(it)
	}
	c.holdLocked(min(c.held, c.queued))
}

// settleLocked takes the queue out of what fan-out waits for.
func (c *conn) settleLocked() {
	if c.fresh != 0 {
		c.shard.pending.Add(-int64(c.fresh))
		c.fresh = 0
		c.srv.paced()
	}
}
