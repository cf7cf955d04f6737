package ws

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// budget bounds what the queues of all peers together hold that read slower
// than they are sent to. A peer that keeps up is in no account here: what
// fan-out queues for it is bounded by Pace.
type budget struct {
	limit   int64
	total   atomic.Int64 // bytes in the queues of holders
	cutting atomic.Bool  // somebody is at it

	mu      sync.Mutex
	holders []*conn // guarded by mu: connections with held > 0
}

// holdLocked sets what the connection has in the budget.
func (c *conn) holdLocked(n int) {
	was := c.held
	if n == was {
		return
	}
	b := &c.srv.budget
	c.held = n
	b.total.Add(int64(n - was))
	switch {
	case was == 0:
		b.add(c)
	case n == 0:
		b.remove(c)
	}
}

func (b *budget) add(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.holder = len(b.holders)
	b.holders = append(b.holders, c)
}

func (b *budget) remove(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.holders) - 1
	moved := b.holders[last]
	b.holders[c.holder], moved.holder = moved, c.holder
	b.holders[last] = nil
	b.holders = b.holders[:last]
	if cap(b.holders) > 64 && last < cap(b.holders)/4 {
		b.holders = append(make([]*conn, 0, cap(b.holders)/2), b.holders...)
	}
}

// exceeded reports whether queues must be cut.
func (b *budget) exceeded() bool { return b.total.Load() > b.limit }

// enforce relieves the largest queues until a sixteenth of the budget is free.
// Called without any lock of a connection held. Whoever comes while another is
// at it goes on.
func (b *budget) enforce() {
	if !b.exceeded() || !b.cutting.CompareAndSwap(false, true) {
		return
	}
	defer b.cutting.Store(false)
	goal := b.limit - b.limit/spareShare
	for _, h := range b.largest() {
		if b.total.Load() <= goal {
			return
		}
		h.conn.relieve()
	}
}

type holding struct {
	conn *conn
	size int
}

// largest lists the holders, the largest queue first.
func (b *budget) largest() []holding {
	b.mu.Lock()
	all := make([]holding, len(b.holders))
	for i, c := range b.holders {
		all[i].conn = c
	}
	b.mu.Unlock()
	for i := range all {
		all[i].size = all[i].conn.holding()
	}
	slices.SortFunc(all, func(x, y holding) int { return cmp.Compare(y.size, x.size) })
	return all
}

func (c *conn) holding() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held
}

// relieve takes out of the queue whatever slow policies allow. If that is not
// half of it, the connection ends.
func (c *conn) relieve() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == 0 {
		return
	}
	before := c.queued
	c.conflateLocked()
	c.dropOldestLocked(0)
	if c.queued <= before/2 {
		return
	}
	c.srv.stats.budget.Add(1)
	if c.closing {
		c.cutLocked(wire.Close{Code: wire.CloseTooSlow, Reason: "send budget exceeded"}, true)
		return
	}
	c.tooSlowLocked("send budget exceeded")
}
