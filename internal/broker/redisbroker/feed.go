package redisbroker

import (
	"context"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// homePause is how long it is waited until homes are looked for again, and in a
// look for those that nobody knows, all together.
const homePause = 100 * time.Millisecond

// Subscribe implements broker.Broker. While Redis is away it waits, within ctx.
func (b *Broker) Subscribe(ctx context.Context, name string) error {
	if err := b.check(ctx); err != nil {
		return err
	}
	if _, one := wire.ConnectionOf(name); one {
		return nil // delivered wherever it is published
	}
	l, err := b.home(ctx, name)
	if err != nil {
		return unavailable("redis is away")
	}
	r := b.hold(name)
	r.wanted = true
	if r.link == nil {
		r.link = l
		l.join(r)
	}
	r.mu.Unlock()
	if err := b.waitLive(ctx, r); err != nil {
		_ = b.Unsubscribe(ctx, name) // it never fails
		return err
	}
	return nil
}

// waitLive waits until the server has confirmed a room's subscription.
func (b *Broker) waitLive(ctx context.Context, r *room) error {
	r.mu.Lock()
	said := r.said
	r.mu.Unlock()
	select {
	case <-said:
		return nil
	default:
	}
	select {
	case <-said:
		return nil
	case <-ctx.Done():
		return unavailable("the room could not be subscribed to in time")
	case <-b.ctx.Done():
		return unavailable("the broker is shut down")
	}
}

// Unsubscribe implements broker.Broker. The subscription ends a moment later: a
// Subscribe in between finds it alive.
func (b *Broker) Unsubscribe(_ context.Context, name string) error {
	r := b.find(name)
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wanted {
		r.wanted = false
		b.later.after(linger, func() { b.retire(r) })
	}
	return nil
}

// listen subscribes to a room for as long as the broker lives.
func (b *Broker) listen(name string) {
	for b.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
		err := b.Subscribe(ctx, name)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-b.ctx.Done():
		case <-time.After(homePause):
		}
	}
}

// home returns the link to the shard that a room is on.
func (b *Broker) home(ctx context.Context, name string) (*link, error) {
	shard, err := b.redis.Shard(ctx, name)
	if err != nil {
		return nil, err
	}
	b.linkMu.Lock()
	defer b.linkMu.Unlock()
	l := b.links[shard]
	if l == nil {
		l = newLink(b, shard)
		if !b.spawn(l.run) {
			return nil, b.ctx.Err()
		}
		b.links[shard] = l
	}
	return l, nil
}

// linksNow returns the links there are.
func (b *Broker) linksNow() []*link {
	b.linkMu.Lock()
	defer b.linkMu.Unlock()
	all := make([]*link, 0, len(b.links))
	for _, l := range b.links {
		all = append(all, l)
	}
	return all
}

// ReplicationChanged implements redisconn.Watcher: what has been delivered of
// the shard's rooms may not be in their logs any more.
func (b *Broker) ReplicationChanged(shard *redisconn.Shard) {
	b.linkMu.Lock()
	l := b.links[shard]
	b.linkMu.Unlock()
	if l != nil {
		l.suspect()
	}
}

// TopologyChanged implements redisconn.Watcher.
func (b *Broker) TopologyChanged() {
	select {
	case b.moved <- struct{}{}:
	default:
	}
}

// rehome moves rooms whose slots have moved, until the broker ends.
func (b *Broker) rehome() {
	for {
		select {
		case <-b.moved:
		case <-b.ctx.Done():
			return
		}
		if !b.moveAll() {
			b.seek()
		}
		b.prune()
	}
}

// seek looks for rooms' homes in a moment, once for all who ask until then.
func (b *Broker) seek() {
	if b.seeks.CompareAndSwap(false, true) {
		b.later.after(homePause, func() {
			b.seeks.Store(false)
			b.TopologyChanged()
		})
	}
}

// moveAll moves the rooms whose homes are known; false when some are not. They
// hold up none of the others.
func (b *Broker) moveAll() bool {
	ctx, cancel := context.WithTimeout(b.ctx, homePause)
	defer cancel()
	known := true
	for _, r := range b.all() {
		if !b.move(ctx, r) {
			known = false
		}
	}
	return known
}

// move takes a room to the link of the shard that has it now; false when that
// cannot be found out.
func (b *Broker) move(ctx context.Context, r *room) bool {
	l, err := b.home(ctx, r.name)
	if err != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.gone || r.link == nil:
	case r.link != l:
		r.link.leave(r)
		r.lose()
		r.link, r.astray = l, false
		l.join(r)
	case r.astray:
		r.astray = false
		l.join(r) // again, on this very connection
	}
	return true
}

// lose says that what is published may not arrive. Guarded by mu.
func (r *room) lose() {
	if r.live {
		r.live = false
		r.feeds++
		r.said = make(chan struct{})
	}
}

// confirm says that the server has confirmed a room's subscription, the one with
// a number.
func (r *room) confirm(l *link, nr uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone || r.link != l || r.live || !l.newest(r, nr) {
		return
	}
	r.live, r.astray = true, false
	r.feeds++
	close(r.said)
	if r.cursor.known {
		l.check(r) // what came since it was lost is missing
	}
}

// prune ends the links to shards that are gone.
func (b *Broker) prune() {
	now := make(map[*redisconn.Shard]bool)
	for _, s := range b.redis.Shards() {
		now[s] = true
	}
	b.linkMu.Lock()
	defer b.linkMu.Unlock()
	for shard, l := range b.links {
		if !now[shard] && l.dismiss() {
			delete(b.links, shard)
		}
	}
}
