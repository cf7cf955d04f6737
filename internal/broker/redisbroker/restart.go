package redisbroker

import (
	"context"
	"errors"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// restart says that there is a hole, and goes on behind it.
func (b *Broker) restart(
	ctx context.Context, r *room, job reading, refused *broker.InsufficientStateError, top wire.Position,
) error {
	reason := reasonEpoch
	if top.Epoch == job.since.Epoch {
		if refused.Reason == "ahead" || refused.Reason == "entry_changed" {
			return b.endEpoch(ctx, r, job.since)
		}
		reason = reasonLost
	}
	start, err := b.start(ctx, r.name, job, top)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return nil
	}
	r.tell(wire.Gap{Reason: reason, From: job.since.Offset, Top: start})
	r.cursor.begin(start)
	r.hint = wire.Position{}
	r.decide()
	r.b.behind.Push(r)
	return nil
}

// endEpoch ends the epoch of a log that was rolled back behind what it had
// acknowledged: no offset may stand for two entries.
func (b *Broker) endEpoch(ctx context.Context, r *room, since wire.Position) error {
	shard, err := b.redis.Shard(ctx, r.name)
	if err != nil {
		return err
	}
	verdicts, err := b.logs.Verify(ctx, shard, []roomlog.Claim{{Room: r.name, Position: since}})
	if err != nil {
		return err
	}
	if err := verdicts[0].Err; err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retry()
	return nil
}

// start finds where to go on in a log that does not continue a position: as
// early as possible, without what was delivered already.
func (b *Broker) start(ctx context.Context, name string, job reading, top wire.Position) (wire.Position, error) {
	if top.Epoch == job.since.Epoch {
		return b.first(ctx, name, top, func(p *wire.Publication) bool { return p.Position.Offset > job.since.Offset })
	}
	// An epoch that was ended by a failover has the older one's entries.
	same := wire.Position{Epoch: top.Epoch, Offset: job.since.Offset, Nonce: job.since.Nonce}
	if same.Offset > 0 {
		if _, ok, err := b.page(ctx, name, same, 1); ok || err != nil {
			return same, err
		}
	}
	return b.first(ctx, name, top, job.fresh)
}

// fresh tells whether a publication of another epoch than before was not
// delivered in the earlier one: it was published since, or the new epoch had
// begun.
func (j *reading) fresh(p *wire.Publication) bool {
	told := j.hint.Epoch == p.Position.Epoch
	switch {
	case told && p.Position.Offset > j.hint.Offset:
		return true
	case j.time == 0:
		return !told
	}
	return p.Time >= j.time
}

// scanMost is how many pages of a log are looked through at most: a log whose
// reading takes longer than its readers have would keep its room behind for ever.
const scanMost = 256

// first finds the position before the first entry of the log that is fresh; the
// top if there is none, a hole before it, or too much to look through. The position before the oldest that
// is kept is not known, unless that is the first of all: then one entry is
// skipped.
func (b *Broker) first(
	ctx context.Context, name string, top wire.Position, fresh func(*wire.Publication) bool,
) (wire.Position, error) {
	at, page, ok, err := b.oldest(ctx, name, top.Epoch)
	for pages := 1; err == nil && ok && len(page.Publications) > 0; pages++ {
		var found bool
		if at, found = before(at, page.Publications, fresh); found {
			return at, nil
		}
		if pages == scanMost {
			return page.Top, nil
		}
		page, ok, err = b.page(ctx, name, at, pageMost)
	}
	if !ok || at.Epoch != page.Top.Epoch {
		at = page.Top
	}
	return at, err
}

// oldest reads the first page of a log, and returns the position that it
// follows: none if its beginning is gone.
func (b *Broker) oldest(ctx context.Context, name string, epoch uint64) (wire.Position, broker.Page, bool, error) {
	at := wire.Position{Epoch: epoch}
	page, ok, err := b.page(ctx, name, at, pageMost)
	if err == nil && !ok {
		at = wire.Position{}
		page, ok, err = b.page(ctx, name, at, pageMost)
	}
	return at, page, ok, err
}

// before returns the position before the first of a page that is fresh, where
// the page follows at; the page's end if there is none, and false.
func before(at wire.Position, page []*wire.Publication, fresh func(*wire.Publication) bool) (wire.Position, bool) {
	for _, p := range page {
		if !at.IsZero() && fresh(p) {
			return at, true
		}
		at = p.Position
	}
	return at, false
}

// page reads from a position; false when the log does not continue it.
func (b *Broker) page(ctx context.Context, name string, since wire.Position, limit int) (broker.Page, bool, error) {
	page, err := b.readLog(ctx, name, since, limit)
	var refused *broker.InsufficientStateError
	if errors.As(err, &refused) {
		return page, false, nil
	}
	return page, err == nil, err
}
