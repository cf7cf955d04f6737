package redisbroker

import (
	"context"
	"errors"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	readTimeout = 5 * time.Second
	pageFirst   = 32  // entries of the first page that is read of a room,
	pageMost    = 256 // and of another one at most
	retryFirst  = 20 * time.Millisecond
	retryMost   = time.Second
	patient     = 3 // reads in a row that may be fruitless without a pause
)

// read reads the logs of rooms that are behind, a page at a time, until the
// queue closes.
func (b *Broker) read() {
	for {
		r, ok := b.behind.Pop()
		if !ok {
			return
		}
		b.readPage(r)
	}
}

// reading is one read of a room's log.
type reading struct {
	since wire.Position
	limit int
	time  int64         // of the entry at since
	hint  wire.Position // where the newest epoch began; zero if unknown
}

// readPage reads on from the room's cursor and hands on what it finds.
func (b *Broker) readPage(r *room) {
	job, ok := r.beginRead()
	if !ok {
		return
	}
	b.count.refills.Add(1)
	ctx, cancel := context.WithTimeout(b.ctx, readTimeout)
	defer cancel()
	page, err := b.readLog(ctx, r.name, job.since, job.limit)
	var refused *broker.InsufficientStateError
	switch {
	case errors.As(err, &refused):
		err = b.restart(ctx, r, job, refused, page.Top)
	case err == nil && !r.endRead(job, page):
		// Entries are missing in the middle: somebody took them away.
		err = b.restart(ctx, r, job, &broker.InsufficientStateError{Reason: "trimmed"}, page.Top)
	}
	if err != nil {
		r.mu.Lock()
		r.retry()
		r.mu.Unlock()
	}
}

// beginRead says what to read next; false when nothing is, for now.
func (r *room) beginRead() (reading, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone || !r.behind {
		return reading{}, false
	}
	job := reading{since: r.cursor.at, time: r.cursor.time, hint: r.hint}
	switch {
	case r.roomy():
		job.limit = r.pageSize()
	case !r.urgent:
		r.parked = true
		return reading{}, false
	}
	r.missed, r.seen = false, len(r.stash)
	return job, true
}

// pageSize is how many entries are read at once. Guarded by mu.
func (r *room) pageSize() int {
	if r.page == 0 {
		return pageFirst
	}
	return r.page
}

// learn adapts the size of pages to that of entries. Guarded by mu.
func (r *room) learn(pubs []*wire.Publication) {
	var bytes int64
	for _, p := range pubs {
		bytes += publicationCost(p)
	}
	each := int(bytes) / len(pubs)
	r.page = min(pageMost, max(1, r.b.cfg.HandoffBytes/2/each))
}

// endRead hands on a page that follows the cursor; false when it does not.
func (r *room) endRead(job reading, page broker.Page) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return true
	}
	pubs := page.Publications
	if !r.cursor.contiguous(pubs) || job.limit > 0 && len(pubs) == 0 && page.Top != r.cursor.at {
		return false
	}
	r.refill(pubs)
	r.decide()
	if r.cursor.at != page.Top || job.limit == 0 {
		r.b.behind.Push(r)
		return true
	}
	r.rejoin()
	return true
}

// refill hands on a page. Guarded by mu.
func (r *room) refill(pubs []*wire.Publication) {
	for _, p := range pubs {
		r.unstow(p)
		r.enqueue(item{pub: p})
	}
	r.cursor.refill(pubs)
	r.b.count.refilled.Add(uint64(len(pubs)))
	if len(pubs) > 0 {
		r.tries = 0
		r.learn(pubs)
	}
}

// retry reads again: at once a few times, then after longer and longer. Guarded
// by mu.
func (r *room) retry() {
	if r.gone {
		return
	}
	r.tries++
	if r.tries <= patient {
		r.b.behind.Push(r)
		return
	}
	pause := min(retryMost, retryFirst<<min(r.tries-patient, 10))
	r.b.later.after(pause, func() { r.b.behind.Push(r) })
}
