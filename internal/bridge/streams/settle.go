package streams

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/fault"
)

const (
	// maxSettled bounds the entries that are acknowledged at once.
	maxSettled = 256
	// saidEvery is how often the log says that something goes wrong.
	saidEvery = 10 * time.Second
	// deadFields and deadBytes bound what is kept of a dead letter: so many
	// fields, and so much of each.
	deadFields = 64
	deadBytes  = 1 << 20
)

// result is how the execution of a command ended: nil, or why it is dead.
type result struct {
	job *job
	err error
}

// outbox holds results until they are acknowledged. Safe for concurrent use.
type outbox struct {
	wake chan struct{} // of capacity 1: there may be something

	mu      sync.Mutex
	results []result // guarded by mu
	closed  bool     // guarded by mu: nothing more comes
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

func (o *outbox) put(r result) {
	o.mu.Lock()
	o.results = append(o.results, r)
	o.mu.Unlock()
	o.poke()
}

// close says that nothing more comes.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.poke()
}

func (o *outbox) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take takes the oldest results, and tells whether more may come.
func (o *outbox) take() (some []result, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(o.results), maxSettled)
	some, o.results = o.results[:n:n], o.results[n:]
	return some, !o.closed || len(o.results) > 0
}

// settle acknowledges what was executed, until the outbox is closed and empty.
func (t *tenure) settle() {
	for {
		some, more := t.outbox.take()
		switch {
		case len(some) > 0:
			t.finish(some)
		case !more:
			return
		default:
			<-t.outbox.wake
		}
	}
}

// finish acknowledges results, as often as it takes while the lease lasts; at
// the end of a tenure once. What stays is read again by whoever is next.
func (t *tenure) finish(some []result) {
	for {
		err := t.c.settle(some)
		if err == nil {
			for _, r := range some {
				t.board.settled(r.job.id)
			}
			return
		}
		t.c.note(err)
		if !t.pause(jitter(retryDelay)) {
			return
		}
	}
}

// settle acknowledges results once. It may be repeated.
func (c *Commands) settle(some []result) error {
	ids := []any{group}
	for _, r := range some {
		if r.err == nil {
			ids = append(ids, r.job.id)
		}
	}
	if len(ids) > 1 {
		if err := c.do(c.cfg.Lease/2, c.scripts.settle, []string{c.keys.stream}, ids...).Err(); err != nil {
			return err
		}
	}
	for i := range some {
		if some[i].err == nil {
			continue
		}
		if err := c.bury(some[i]); err != nil {
			return err
		}
	}
	c.count(some)
	return nil
}

// bury moves a command to the dead letters, with why.
func (c *Commands) bury(r result) error {
	why := fault.Of(r.err)
	return c.do(c.cfg.Lease/2, c.scripts.bury, []string{c.keys.stream, c.keys.dead},
		group, r.job.id, string(why.Code), why.Message, c.cfg.DeadLength, deadFields, deadBytes).Err()
}

// count counts results that were acknowledged, and tells the log of one of the
// dead.
func (c *Commands) count(some []result) {
	var dead, gone int64
	var last result
	for _, r := range some {
		switch {
		case r.err != nil:
			dead, last = dead+1, r
		case r.job.gone:
			gone++
		}
	}
	c.stats.dead.Add(dead)
	c.stats.gone.Add(gone)
	if dead > 0 {
		c.parts.Log.Warn("commands: moved to the dead letters", zap.Int64("entries", dead), zap.String("last", last.job.id),
			zap.String("op", last.job.cmd.op), zap.Error(fault.Of(last.err)))
	}
	if gone > 0 {
		c.parts.Log.Warn("commands: entries were deleted before they were executed", zap.Int64("entries", gone))
	}
}
