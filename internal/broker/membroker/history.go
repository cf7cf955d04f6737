package membroker

import (
	"context"
	"math"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// History implements broker.Broker. Reading counts as use of the room. A room
// without history has the position {epoch, 0, 0}, for as long as its epoch
// lasts: see the package's text on positions.
func (b *Broker) History(ctx context.Context, name string, since wire.Position, limit int) (broker.Page, error) {
	if err := b.check(ctx); err != nil {
		return broker.Page{}, err
	}
	s, hash := b.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil || !r.kept {
		page := broker.Page{Top: wire.Position{Epoch: s.epochOf(name, hash)}}
		_, err := indexOf(page.Top.Epoch, &logbook{}, since)
		return page, err
	}
	now := time.Now()
	s.touch(r, b.since(now))
	r.log.expire(r.retention.Age, now.UnixMilli(), math.MaxInt)
	s.recharge(r)
	page := broker.Page{Top: r.top()}
	index, err := indexOf(r.epoch, &r.log, since)
	if err != nil {
		return page, err
	}
	page.Publications = r.log.page(index, limit)
	return page, nil
}

// indexOf tells where in a log of this epoch the entries after since begin.
func indexOf(epoch uint64, l *logbook, since wire.Position) (int, error) {
	switch {
	case since.IsZero():
		return 0, nil
	case since.Epoch != epoch:
		return 0, &broker.InsufficientStateError{Reason: reasonEpoch}
	}
	return l.resume(mark{since.Offset, since.Nonce})
}
