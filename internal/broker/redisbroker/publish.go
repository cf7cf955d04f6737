package redisbroker

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// maxKey is the longest idempotency key in bytes.
const maxKey = 128

// Publish implements broker.Broker. It waits while the hand-off of the room
// lags on this instance: without a key before anything is sent, with one after
// the publication is stored, since only the store knows a repeat. An error
// other than Unavailable means that nothing was stored.
func (b *Broker) Publish(ctx context.Context, p broker.Publication) (wire.Position, error) {
	if err := b.admit(ctx, &p); err != nil {
		return wire.Position{}, err
	}
	b.mutation.change(&p)
	if b.mutation.acknowledgesEarly() {
		b.spawn(func() { _, _ = b.publish(b.ctx, p) })
		return wire.Position{Nonce: p.Position.Nonce}, nil
	}
	return b.publish(ctx, p)
}

// admit checks what needs no Redis, and gives the attempt its nonce.
func (b *Broker) admit(ctx context.Context, p *broker.Publication) error {
	switch {
	case p.Room == "":
		return wire.NewError(wire.InvalidMessage, "a publication needs a room")
	case len(p.IdempotencyKey) > maxKey:
		return wire.NewError(wire.InvalidMessage, "an idempotency key has at most 128 bytes")
	}
	p.Position.Nonce &= wire.Bits48
	for p.Position.Nonce == 0 {
		p.Position.Nonce = rand.Uint64() & wire.Bits48 //nolint:gosec // tells entries apart, keeps no secret
	}
	return b.check(ctx)
}

func (b *Broker) publish(ctx context.Context, p broker.Publication) (wire.Position, error) {
	if _, one := wire.ConnectionOf(p.Room); one {
		return wire.Position{}, b.publishToOne(ctx, p)
	}
	keyed, cost := p.IdempotencyKey != "", publicationCost(&p.Publication)
	if !keyed {
		if err := b.pace(ctx, p.Room, cost); err != nil {
			return wire.Position{}, err
		}
	}
	pos, outcome, err := b.store(ctx, p)
	if err != nil {
		return wire.Position{}, err
	}
	if keyed && outcome == roomlog.Stored {
		_ = b.pace(ctx, p.Room, cost) // it is stored, however long this takes
	}
	return pos, nil
}

// store is roomlog's Publish. The publication of one that waits for replicas
// may arrive while it does, and is held back.
func (b *Broker) store(ctx context.Context, p broker.Publication) (wire.Position, roomlog.Outcome, error) {
	if !p.Replicated || !p.Retention.Keeps() {
		return b.logs.Publish(ctx, p)
	}
	nonce := p.Position.Nonce
	it := b.durable.begin(nonce)
	pos, outcome, err := b.logs.Publish(ctx, p)
	b.durable.end(nonce, it, err == nil)
	b.resume(p.Room)
	return pos, outcome, err
}

// publishToOne publishes to one connection, which is on this instance: only its
// idempotency key goes to Redis.
func (b *Broker) publishToOne(ctx context.Context, p broker.Publication) error {
	p.Retention, p.Replicated = broker.Retention{}, false
	if err := b.pace(ctx, p.Room, publicationCost(&p.Publication)); err != nil {
		return err
	}
	if p.IdempotencyKey != "" {
		_, outcome, err := b.logs.Publish(ctx, p)
		if err != nil || outcome == roomlog.Repeated {
			return err
		}
	}
	pub := p.Publication
	pub.Position = wire.Position{Nonce: pub.Position.Nonce}
	pub.Time = time.Now().UnixMilli()
	r := b.hold(p.Room)
	defer r.mu.Unlock()
	r.enqueue(item{pub: &pub})
	return nil
}

// pace waits while the hand-off of the room, or of the process, lags.
func (b *Broker) pace(ctx context.Context, name string, cost int64) error {
	for first := true; ; first = false {
		if err := b.check(ctx); err != nil {
			return err
		}
		wait := b.lag(name, cost)
		if wait == nil {
			return nil
		}
		if first {
			b.count.waits.Add(1)
		}
		select {
		case <-wait:
		case <-ctx.Done():
		case <-b.ctx.Done():
		}
	}
}

// lag returns what to wait for before a publication of this cost, nil for
// nothing. One that finds nothing before it never waits, however large.
func (b *Broker) lag(name string, cost int64) <-chan struct{} {
	if r := b.find(name); r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.gone && r.pending > 0 && r.pending+cost > int64(b.cfg.HandoffBytes) {
			if r.space == nil {
				r.space = make(chan struct{})
			}
			return r.space
		}
	}
	if b.crowded(cost) {
		return b.crowd.Wait(func() bool { return !b.crowded(cost) })
	}
	return nil
}

// crowded tells whether the hand-off of the whole process is full.
func (b *Broker) crowded(cost int64) bool {
	waiting := b.waiting.Load()
	return waiting > 0 && waiting+cost > b.cfg.HandoffTotal
}
