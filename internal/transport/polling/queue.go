package polling

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// queueLocked queues a frame for the next poll. It returns false when the
// session is closing, or closes because its client polls too slowly.
func (e *session) queueLocked(f *wire.Frame) bool {
	p := e.polls
	if e.over || p.closing {
		return false
	}
	n := len(f.WebSocket())
	if len(p.queue) > 0 && p.charged-p.written()+n > e.srv.cfg.SendQueueBytes {
		e.srv.stats.slow.Add(1)
		e.dropLocked()
		e.closeLocked(wire.Close{Code: wire.CloseTooSlow, Reason: "send queue full"})
		return false
	}
	p.queue = append(p.queue, f)
	e.chargeLocked(n)
	return true
}

func (e *session) chargeLocked(n int) {
	e.polls.charged += n
	e.srv.budget.total.Add(int64(n))
}

// dropLocked drops what is queued.
func (e *session) dropLocked() {
	p := e.polls
	e.chargeLocked(p.written() - p.charged)
	p.queue = nil
}

// written is the bytes of the answer that is being written.
func (p *polls) written() int {
	if p.answering == nil {
		return 0
	}
	return p.answering.size
}

// budget bounds what polling sessions hold together.
type budget struct {
	limit   int64
	total   atomic.Int64
	cutting atomic.Bool // somebody is at it
}

// spareShare of the budget is free once sessions were cut for it.
const spareShare = 16

// reserve takes n bytes for a POST's body; false when they are not there.
func (b *budget) reserve(n int) bool {
	if b.total.Add(int64(n)) <= b.limit {
		return true
	}
	b.release(n)
	return false
}

func (b *budget) release(n int) { b.total.Add(-int64(n)) }

// enforce cuts the sessions that hold most until a part of the budget is free.
// Called without any lock. Whoever comes while another is at it goes on.
func (b *budget) enforce(s *Server) {
	if b.total.Load() <= b.limit || !b.cutting.CompareAndSwap(false, true) {
		return
	}
	defer b.cutting.Store(false)
	goal := b.limit - b.limit/spareShare
	for _, h := range s.holders() {
		if b.total.Load() <= goal {
			return
		}
		h.session.relieve()
	}
}

type holding struct {
	session *session
	size    int
}

// holders lists the sessions that poll, the one that holds most first.
func (s *Server) holders() []holding {
	s.mu.Lock()
	all := make([]holding, 0, len(s.polling))
	for e := range s.polling {
		all = append(all, holding{session: e})
	}
	s.mu.Unlock()
	for i := range all {
		all[i].size = all[i].session.holding()
	}
	slices.SortFunc(all, func(x, y holding) int { return cmp.Compare(y.size, x.size) })
	return all
}

func (e *session) holding() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.polls == nil {
		return 0
	}
	return e.polls.charged
}

// relieve ends a session that holds too much.
func (e *session) relieve() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.polls == nil || e.polls.charged == 0 {
		return
	}
	e.srv.stats.budget.Add(1)
	e.dieLocked(wire.Close{Code: wire.CloseTooSlow, Reason: "polling memory exceeded"}, sayClose)
}
