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
		return b.first(ctx, name, top, func(*wire.Publication) bool { return true })
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

// first finds the position before the first entry of the log that is fresh; the
// top if there is none. The position before the oldest that is kept is not
// known, unless that is the first of all: then one entry is skipped.
func (b *Broker) first(
	ctx context.Context, name string, top wire.Position, fresh func(*wire.Publication) bool,
) (wire.Position, error) {
	at := wire.Position{Epoch: top.Epoch}
	page, ok, err := b.page(ctx, name, at, pageFirst)
	if err == nil && !ok {
		at = wire.Position{}
		page, ok, err = b.page(ctx, name, at, pageFirst)
	}
	var found bool
	for err == nil && ok && len(page.Publications) > 0 {
		if at, found = before(at, page.Publications, fresh); found {
			return at, nil
		}
		page, ok, err = b.page(ctx, name, at, pageFirst)
	}
	if at.IsZero() || at.Epoch != page.Top.Epoch {
		at = page.Top
	}
	return at, err
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
