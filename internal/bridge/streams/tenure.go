package streams

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// firstBatch is how many entries are read at first; each batch may be twice
	// as large as the one before, up to maxBatch. batchBytes is what they should
	// amount to at most, going by those before.
	firstBatch = 8
	maxBatch   = 256
	batchBytes = 2 << 20
	// maxIdle bounds how long one look for new entries lasts.
	maxIdle = 500 * time.Millisecond
	// concurrency bounds the executions at once.
	concurrency = 64
	// aloneFrom is how often an entry was delivered without an end when it is
	// executed alone from then on, and maxDeliveries when it is dead.
	aloneFrom     = 3
	maxDeliveries = 10
	// oldest is before all ids of entries.
	oldest = "0-0"
)

// tenure is a time in which this instance holds the lease and reads.
type tenure struct {
	c      *Commands
	board  *board
	outbox *outbox
	ctx    context.Context // ends when the lease is lost, or with Commands'
	cancel context.CancelFunc
	stop   chan struct{} // closed by end: nothing more is begun
	slots  chan struct{} // holds a token for each execution

	executions sync.WaitGroup
	settler    sync.WaitGroup

	begun time.Time    // immutable
	until atomic.Int64 // when the lease ends, in nanoseconds after begun

	// Owned by read.
	after string // what was left undone is taken, behind this id; "": new entries
	alone bool   // nothing is read before all that was is at its end
	batch int    // how many entries to read at once
	lost  bool   // the lease is not this instance's any more
}

// batchOf is what a look at the stream has brought.
type batchOf struct {
	entries []entry
	end     string // where the stream ends, if there was nothing new; else ""
}

func newTenure(c *Commands, until time.Time) *tenure {
	t := &tenure{
		c: c, board: newBoard(), outbox: newOutbox(), stop: make(chan struct{}), slots: make(chan struct{}, concurrency),
		begun: time.Now(), after: oldest, batch: firstBatch,
	}
	t.ctx, t.cancel = context.WithCancel(c.ctx)
	t.until.Store(int64(until.Sub(t.begun)))
	t.settler.Go(t.settle)
	return t
}

// over tells whether the lease has run out, as far as is known here.
func (t *tenure) over() bool { return time.Since(t.begun) >= time.Duration(t.until.Load()) }

// read reads until the lease is lost or should be given back, and says why. It
// renews the lease with every look.
func (t *tenure) read() (why string) {
	for {
		switch {
		case t.c.standsBack():
			return "it drains or stops"
		case t.over():
			why = "Redis did not answer in time"
		case !t.look():
			why = "another instance has the lease, or nobody"
		default:
			continue
		}
		t.lost = true
		t.cancel()
		return why
	}
}

// look takes entries, if there may be more under way, and waits if there is
// nothing to do. False: the lease is lost.
func (t *tenure) look() (held bool) {
	sent, count := time.Now(), t.count()
	got, err := t.fetch(count)
	t.c.note(err)
	switch {
	case errors.Is(err, redis.Nil):
		return false
	case err != nil:
		t.failed(err)
		return true
	}
	t.until.Store(int64(sent.Add(t.c.cfg.Lease).Sub(t.begun)))
	t.dispatch(got.entries)
	t.c.stats.underWay.Store(int64(t.board.underWay()))
	switch {
	case count == 0:
		t.waitFreed()
	case t.after != "":
		t.turnPage(got.entries)
	case got.end != "":
		t.waitNew(got.end)
	}
	return true
}

// count is how many entries to take now.
func (t *tenure) count() int {
	if t.alone && t.board.underWay() > 0 {
		return 0
	}
	t.alone = false
	return min(t.batch, t.board.room())
}

// failed prepares the next look after one that failed: its answer may have been
// lost, and then entries were delivered that nobody has seen.
func (t *tenure) failed(err error) {
	t.after = oldest
	t.batch = max(1, t.batch/4) // it may have been too much for the time
	if strings.Contains(err.Error(), "NOGROUP") {
		t.c.acquire() // makes the group again
	}
	t.c.wait(jitter(retryDelay))
}

// turnPage goes on in what was left, or to new entries.
func (t *tenure) turnPage(entries []entry) {
	if len(entries) == 0 {
		t.after = ""
		return
	}
	t.after = entries[len(entries)-1].id
	t.alone = entries[0].deliveries >= aloneFrom
}

// fetch asks Redis for entries.
func (t *tenure) fetch(count int) (batchOf, error) {
	c := t.c
	script, args := c.scripts.take, []any{c.token, c.cfg.Lease.Milliseconds(), group, consumer, count}
	if t.after != "" && count > 0 {
		script, args = c.scripts.left, append(args, t.after, aloneFrom)
	}
	reply, err := c.do(c.cfg.Lease/2, script, []string{c.keys.lease, c.keys.stream}, args...).Slice()
	if err != nil {
		return batchOf{}, err
	}
	got, length, err := parseReply(reply)
	if err == nil {
		c.stats.length.Store(length)
		t.adapt(got.entries)
	}
	return got, err
}

// adapt chooses how many entries to read next, so that a batch of large ones
// does not take too much memory.
func (t *tenure) adapt(entries []entry) {
	if len(entries) == 0 {
		return
	}
	n := 0
	for i := range entries {
		n += entries[i].size()
	}
	fit := batchBytes / (n/len(entries) + 1)
	t.batch = max(1, min(fit, 2*t.batch, maxBatch))
}

// dispatch begins what can be, and has the rest wait for its turn.
func (t *tenure) dispatch(entries []entry) {
	for i := range entries {
		e := &entries[i]
		if t.board.has(e.id) {
			continue // taken again after a failure
		}
		if j := t.jobOf(e); t.board.add(j) {
			t.begin(j)
		}
	}
}

// jobOf reads an entry.
func (t *tenure) jobOf(e *entry) *job {
	j := &job{id: e.id, size: e.size(), begun: time.Now(), gone: e.fields == nil}
	if j.gone {
		return j
	}
	if j.cmd, j.fault = parse(e.fields, t.c.cfg.MaxData); j.fault == nil && e.deliveries >= maxDeliveries {
		j.fault = errPoison
	}
	return j
}

// waitFreed waits until something is acknowledged, for a moment.
func (t *tenure) waitFreed() {
	timer := time.NewTimer(t.idle())
	defer timer.Stop()
	select {
	case <-t.board.freed:
	case <-timer.C:
	case <-t.c.quit:
	}
}

// waitNew waits for an entry after an id, for a moment.
func (t *tenure) waitNew(end string) {
	idle := t.idle()
	ctx, cancel := context.WithTimeout(t.ctx, idle+t.c.cfg.Lease/2)
	defer cancel()
	shard, err := t.c.parts.Redis.Shard(ctx, t.c.cfg.Name)
	if err == nil {
		err = shard.Client().Do(ctx, "XREAD", "COUNT", 1, "BLOCK", idle.Milliseconds(), "STREAMS", t.c.keys.stream, end).Err()
	}
	if err != nil && !errors.Is(err, redis.Nil) {
		t.c.wait(jitter(retryDelay)) // the next look finds out what it is
	}
}

// idle is how long to wait with nothing to do: well below the lease, and what
// an answer of Redis may take.
func (t *tenure) idle() time.Duration {
	return min(maxIdle, t.c.cfg.Lease/8, t.c.parts.Redis.CommandTimeout()/2)
}

// end lets what is being executed come to its end, acknowledges it, and gives
// the lease back.
func (t *tenure) end() {
	close(t.stop)
	t.executions.Wait()
	t.outbox.close()
	t.settler.Wait()
	t.cancel()
	t.c.stats.underWay.Store(0)
	if t.lost {
		return
	}
	args := []any{t.c.token, group, consumer}
	for _, id := range t.board.left() {
		args = append(args, id)
	}
	_ = t.c.do(t.c.cfg.Lease/2, t.c.scripts.release, []string{t.c.keys.lease, t.c.keys.stream}, args...).Err() // else it runs out
}
