package presence

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// batchSize bounds what one script writes of each kind: Redis serves nobody
// else meanwhile.
const batchSize = 256

var errAnswer = errors.New("presence: Redis has answered something else")

// writeUntilStopped writes changes until Shutdown.
func (d *Directory) writeUntilStopped() {
	timer := time.NewTimer(retryPause)
	defer timer.Stop()
	for {
		retry := false
		select {
		case <-d.ctx.Done():
			return
		case <-d.wake:
		case <-timer.C:
			retry = true
		}
		if d.away.Load() && !retry {
			continue
		}
		d.working.Store(true)
		err := d.settle()
		d.working.Store(false)
		if d.ctx.Err() != nil {
			return
		}
		d.judge(err)
		if err != nil {
			d.refuse()
			d.tellHere()
			timer.Reset(retryPause)
		}
	}
}

// judge notes whether Redis is there, and says so when that has changed.
func (d *Directory) judge(err error) {
	if was := d.away.Swap(err != nil); was != (err != nil) {
		if err != nil {
			d.log.Warn("presence: Redis does not take it; members see those of this instance", zap.Error(err))
		} else {
			d.log.Info("presence: Redis has everything again")
		}
	}
}

// settle writes all that waits.
func (d *Directory) settle() error {
	for {
		if d.beginAnew() {
			err := d.writeAnew()
			if d.endAnew(err == nil); err != nil {
				return err
			}
		}
		switch more, whole, err := d.step(d.ctx); {
		case err != nil:
			return err
		case !whole:
			d.startAnew()
		case !more:
			return nil
		}
	}
}

// step writes one batch, tells of it and answers questions. more is false when
// nothing waited, whole when Redis has lost something.
func (d *Directory) step(ctx context.Context) (more, whole bool, err error) {
	b := d.next()
	if b.empty() {
		return false, true, nil
	}
	at, whole, err := d.put(ctx, b)
	var all []sights
	if err == nil {
		all, err = d.look(ctx, b)
	}
	if err != nil {
		d.stats.failures.Add(1)
		d.undo(b)
		return false, false, err
	}
	d.stats.batches.Add(1)
	b.answer(all)
	d.spread(ctx, d.newsOf(b, at, all))
	return true, whole, nil
}

// next takes a batch of what waits.
func (d *Directory) next() *batch {
	d.mu.Lock()
	b := d.changes.take()
	d.mu.Unlock()
	// Whoever asks has been counted, and that is to be written with it.
	for _, q := range b.questions {
		b.users = append(b.users, count{q.user, d.limiter.Here(q.user)})
	}
	return b
}

// take takes a batch out.
func (c *changes) take() *batch {
	b := &batch{}
	n := min(len(c.questions), batchSize)
	b.questions, c.questions = c.questions[:n:n], c.questions[n:]
	for _, q := range b.questions {
		delete(c.users, q.user)
	}
	for m, ch := range c.members {
		if len(b.members) == batchSize {
			break
		}
		b.members = append(b.members, memberChange{m, ch})
		delete(c.members, m)
	}
	b.rooms, b.users = takeCounts(c.rooms), takeCounts(c.users)
	return b
}

func takeCounts(from map[string]int) []count {
	var out []count
	for name, n := range from {
		if len(out) == batchSize {
			break
		}
		out = append(out, count{name, n})
		delete(from, name)
	}
	return out
}

// refuse answers whoever asks while Redis is away: nobody waits for it twice.
func (d *Directory) refuse() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.changes.questions {
		q.answer <- answer{err: redisconn.ErrAway}
	}
	d.changes.questions = nil
}

// undo puts a batch back whose outcome is not known, but for what has changed
// since. Numbers come from the hub again.
func (d *Directory) undo(b *batch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range b.questions {
		q.answer <- answer{err: redisconn.ErrAway}
	}
	d.changes.anew = true
	for _, m := range b.members {
		if _, newer := d.changes.members[m.member]; !newer {
			d.changes.members[m.member] = m.change
		}
	}
	d.changes.bound()
}
