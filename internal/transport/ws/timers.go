package ws

import (
	"math"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// One timer per connection serves all its deadlines: it is set to the nearest,
// and what is due is judged when it expires. Traffic moves no timer; it only
// notes times.

// never is later than everything.
const never = time.Duration(math.MaxInt64)

// setDueLocked makes sure that the timer expires at the given time or before.
func (c *conn) setDueLocked(now, at time.Duration) {
	if c.dead || c.due != 0 && c.due <= at {
		return
	}
	c.due = at
	c.srv.wheel.Schedule(&c.timer, at-now, c)
}

// Expired implements wheel.Task.
func (c *conn) Expired() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return
	}
	c.due = 0
	now := c.srv.now()
	c.judgeLocked(now)
	c.heartbeatLocked(now)
	if next := c.nextLocked(now); next != never {
		c.setDueLocked(now, next)
	}
}

// judgeLocked acts on deadlines that have passed.
func (c *conn) judgeLocked(now time.Duration) {
	cfg := &c.srv.cfg
	switch {
	case c.closing && now >= c.closeBy:
		c.cutLocked(abnormal("close timeout"), true)
	case c.stalledLocked() && now >= c.progress+cfg.WriteTimeout:
		c.srv.stats.slow.Add(1)
		c.cutLocked(wire.Close{Code: wire.CloseTooSlow, Reason: "write timeout"}, true)
	case c.lateLocked() && now >= c.partialSince+cfg.MessageTimeout:
		c.srv.stats.protocol.Add(1)
		c.failLocked(fault{wire.ClosePolicyViolation, "message timeout"})
	}
}

// stalledLocked reports whether something waits for the peer to read.
func (c *conn) stalledLocked() bool {
	return c.blocked || c.writing && !c.parked
}

// lateLocked reports whether a message is incomplete and it is the peer's
// turn.
func (c *conn) lateLocked() bool {
	return c.partialSince != 0 && !c.closing && !c.active.Load()
}

// heartbeatLocked pings a silent peer and cuts one that does not answer. A
// connection that is not read (held, or a handler at work) or that is full
// (the write timeout judges it) is not judged.
func (c *conn) heartbeatLocked(now time.Duration) {
	heard := time.Duration(c.heard.Load())
	switch {
	case c.closing, c.unasked:
		return
	case c.excusedLocked():
		c.heard.Store(int64(now))
		c.pinged = 0
		return
	case heard >= c.pinged:
		c.pinged = 0
	}
	c.pingLocked(now, heard)
}

// excusedLocked reports whether silence is not the peer's fault.
func (c *conn) excusedLocked() bool {
	return c.role == readerHeld || c.role == readerBusy && c.active.Load() || c.stalledLocked()
}

// pingLocked sends a ping that is due, or cuts a peer that owes an answer.
func (c *conn) pingLocked(now, heard time.Duration) {
	switch {
	case c.pinged != 0 && now >= c.pinged+c.srv.cfg.HeartbeatTimeout:
		c.srv.stats.heartbeat.Add(1)
		c.cutLocked(abnormal("heartbeat timeout"), true)
	case c.pinged == 0 && now >= heard+c.intervalLocked():
		c.pinged = now
		if f := c.srv.ping; c.queueLocked(f, len(f.WebSocket())) {
			c.scheduleLocked()
		}
	}
}

// nextLocked is the nearest deadline.
func (c *conn) nextLocked(now time.Duration) time.Duration {
	cfg := &c.srv.cfg
	if c.dead {
		return never
	}
	next := c.askNextLocked()
	if c.closing {
		next = c.closeBy
	}
	if c.stalledLocked() {
		next = min(next, c.progress+cfg.WriteTimeout)
	}
	if c.partialSince != 0 && !c.closing {
		next = min(next, max(c.partialSince+cfg.MessageTimeout, now+wheel.Tick))
	}
	return max(next, now)
}

// askNextLocked is when the heartbeat has something to do.
func (c *conn) askNextLocked() time.Duration {
	switch {
	case c.unasked:
		return never
	case c.pinged != 0:
		return c.pinged + c.srv.cfg.HeartbeatTimeout
	}
	return time.Duration(c.heard.Load()) + c.intervalLocked()
}

// intervalLocked is the heartbeat interval, a tenth more or less, so that
// connections made together do not stay together.
func (c *conn) intervalLocked() time.Duration {
	const steps = 1 << 10
	jitter := int64(c.gen*2654435761>>22) - steps/2 // Fibonacci hashing
	return c.srv.cfg.HeartbeatInterval + c.srv.cfg.HeartbeatInterval/10*time.Duration(jitter)/(steps/2)
}
