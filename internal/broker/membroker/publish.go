package membroker

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// ticket is what is known of a publish before the room's lock is taken.
type ticket struct {
	cost    int64
	keyed   bool
	id      digest // with keyed: room, publisher and key
	content digest // with keyed: event, data and conflate key
}

// verdict is the outcome of one attempt. Both channels are nil when it is
// final.
type verdict struct {
	pos   wire.Position
	err   error
	room  <-chan struct{} // closed when the room's hand-off has space
	crowd bool            // the process's hand-off is full
}

// Publish implements broker.Broker. Waiting and nothing stored: an error
// always means that this call has stored nothing.
func (b *Broker) Publish(ctx context.Context, p broker.Publication) (wire.Position, error) {
	t, err := b.admit(&p)
	if err != nil {
		return wire.Position{}, err
	}
	for {
		if err := b.check(ctx); err != nil {
			return wire.Position{}, err
		}
		v := b.attempt(&p, &t)
		wait := v.room
		switch {
		case v.crowd:
			wait = b.crowd.Wait(func() bool { return !b.crowded(t.cost) })
		case wait == nil:
			return v.pos, v.err
		}
		select {
		case <-wait:
		case <-ctx.Done():
		case <-b.quit:
		}
	}
}

// TryPublish implements broker.Local.
func (b *Broker) TryPublish(p broker.Publication) (wire.Position, error) {
	t, err := b.admit(&p)
	if err != nil {
		return wire.Position{}, err
	}
	if err := b.check(context.Background()); err != nil {
		return wire.Position{}, err
	}
	v := b.attempt(&p, &t)
	if v.crowd || v.room != nil {
		return wire.Position{}, broker.ErrWouldBlock
	}
	return v.pos, v.err
}

// admit checks what needs no lock.
func (b *Broker) admit(p *broker.Publication) (ticket, error) {
	t := ticket{cost: publicationCost(&p.Publication), keyed: p.IdempotencyKey != ""}
	switch {
	case p.Room == "":
		return t, wire.NewError(wire.InvalidMessage, "a publication needs a room")
	case len(p.IdempotencyKey) > maxKey:
		return t, wire.NewError(wire.InvalidMessage, "an idempotency key has at most 128 bytes")
	case t.cost > b.cfg.MemoryBytes/8:
		return t, wire.NewError(wire.TooLarge, "the publication is too large for the broker's memory")
	}
	if t.keyed {
		t.id, t.content = b.identify(&p.Publication)
	}
	return t, nil
}

// attempt publishes p unless it would have to wait.
func (b *Broker) attempt(p *broker.Publication, t *ticket) verdict {
	s, hash := b.shardOf(p.Room)
	s.mu.Lock()
	v := s.publish(p, t, hash)
	s.mu.Unlock()
	b.reclaim()
	return v
}

// publish is attempt under the lock. Guarded by mu.
func (s *shard) publish(p *broker.Publication, t *ticket, hash uint64) verdict {
	now := time.Now()
	since := s.b.since(now)
	r := s.rooms[p.Room]
	if v, known := s.repeated(r, p, t, since); known {
		return v
	}
	if v, full := s.full(r, t.cost); full {
		return v
	}
	r = s.open(p.Room, hash)
	pub := new(wire.Publication)
	*pub = p.Publication
	pub.Room, pub.Time = r.name, now.UnixMilli()
	pub.Position = wire.Position{Nonce: p.Position.Nonce & wire.Bits48} // the publisher knows it by it
	var pos wire.Position
	if p.Retention.Keeps() {
		s.store(r, pub, p, since)
		pos = pub.Position
	} else if r.kept {
		// What is not kept must not pass for what is.
		s.forget(r, reasonEpoch)
	}
	s.enqueue(r, item{pub: pub})
	if t.keyed {
		s.remember(t, pos, since)
	}
	s.count.published++
	return verdict{pos: pos}
}

// repeated answers a publish that was already taken, by key or by nonce.
// Guarded by mu.
func (s *shard) repeated(r *room, p *broker.Publication, t *ticket, since int64) (verdict, bool) {
	if t.keyed {
		if v, ok := s.repeatedKey(t, since); ok {
			return v, true
		}
	}
	if nonce := p.Position.Nonce & wire.Bits48; nonce != 0 && r != nil && r.kept && p.Retention.Keeps() {
		if m, ok := r.log.find(nonce); ok {
			s.count.repeated++
			return verdict{pos: wire.Position{Epoch: r.epoch, Offset: m.offset, Nonce: m.nonce}}, true
		}
	}
	return verdict{}, false
}

// repeatedKey answers a publish whose key was already used. Guarded by mu.
func (s *shard) repeatedKey(t *ticket, since int64) (verdict, bool) {
	s.expireKeys(since, sweepBurst)
	k, ok := s.keys.records[t.id]
	switch {
	case !ok || k.ends <= since:
		return verdict{}, false
	case k.content != t.content:
		return verdict{err: wire.NewError(wire.Conflict, "the idempotency key was used with other content")}, true
	}
	s.count.repeated++
	return verdict{pos: k.pos}, true
}

// store appends pub to the room's log and gives it its position. Guarded by mu.
func (s *shard) store(r *room, pub *wire.Publication, p *broker.Publication, since int64) {
	if !r.kept {
		s.keep(r)
		s.announce(r)
	}
	s.touch(r, since)
	r.retention = p.Retention
	r.log.expire(r.retention.Age, pub.Time, math.MaxInt)
	pub.Position = wire.Position{
		Epoch: r.epoch, Offset: r.log.top().offset + 1, Nonce: p.Position.Nonce & wire.Bits48,
	}
	for pub.Position.Nonce == 0 {
		pub.Position.Nonce = rand.Uint64() & wire.Bits48 //nolint:gosec // tells entries apart, keeps no secret
	}
	r.log.append(pub)
	r.log.limit(r.retention.Size, s.b.cfg.MemoryBytes/2)
	s.recharge(r)
}
