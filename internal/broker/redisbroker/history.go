package redisbroker

import (
	"context"
	"errors"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	// meetMost is how long pages are read that what comes live does not follow.
	meetMost = 5 * time.Second
	// tooOldMost is how often a log may seem to end before what was delivered:
	// reads overtake each other, but one that always does was rolled back.
	tooOldMost = 3
	// decideMost is how long such a reader waits for the room to find out where
	// it is.
	decideMost = time.Second
)

// History implements broker.Broker. Reading counts as use of the room. What is
// read of a room that is subscribed here goes together with what is delivered:
// the page ends where, or behind where, the delivery has begun, and in the same
// epoch.
func (b *Broker) History(ctx context.Context, name string, since wire.Position, limit int) (broker.Page, error) {
	began := time.Now()
	for attempt := 1; time.Since(began) < meetMost; attempt++ {
		if err := b.check(ctx); err != nil {
			return broker.Page{}, err
		}
		r, feeds := b.watched(name)
		page, err := b.readLog(ctx, name, since, limit)
		var refused *broker.InsufficientStateError
		if err != nil && !errors.As(err, &refused) {
			return page, err
		}
		if r == nil {
			b.durable.veil(page.Publications)
			return page, err
		}
		again, decided := r.meet(page.Top, feeds, attempt > tooOldMost)
		if !again {
			b.durable.veil(page.Publications)
			return page, err
		}
		b.await(ctx, decided)
	}
	return broker.Page{}, unavailable("the room is being brought up to date")
}

// readLog is roomlog's Read, but for mutants.
func (b *Broker) readLog(ctx context.Context, name string, since wire.Position, limit int) (broker.Page, error) {
	return b.mutation.read(ctx, b.logs, name, since, limit)
}

// watched returns a room that is subscribed, and how often its subscription has
// changed; nil for another one.
func (b *Broker) watched(name string) (*room, uint64) {
	r := b.find(name)
	if r == nil {
		return nil, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone || !r.wanted {
		return nil, 0
	}
	return r, r.feeds
}

// meet tells whether a page that ends at top must be read again, for what comes
// live does not follow it, and what to wait for before: nil for nothing. feeds
// is from before it was read. The first page read says where the room begins.
func (r *room) meet(top wire.Position, feeds uint64, stubborn bool) (again bool, decided <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return false, nil
	}
	switch m := r.cursor.meet(top); {
	case m == unknown && r.feeds == feeds:
		r.cursor.begin(top)
	case m == unknown:
		return true, nil // what was published since may have come while nobody heard it
	case m == tooOld && !stubborn:
		return true, nil
	case m == tooOld, m == apart:
		r.b.count.apart.Add(1)
		return true, r.settle()
	}
	return false, nil
}

// settle makes the room find out where it is, and returns what is closed once it
// has. Guarded by mu.
func (r *room) settle() <-chan struct{} {
	r.fallBehind()
	r.urgent = true
	if r.parked {
		r.parked = false
		r.b.behind.Push(r)
	}
	if r.decided == nil {
		r.decided = make(chan struct{})
	}
	return r.decided
}

// decide says that a read of the room's log has found out where it is. Guarded
// by mu.
func (r *room) decide() {
	r.urgent = false
	if r.decided != nil {
		close(r.decided)
		r.decided = nil
	}
}

// await waits for a room to decide, not for long.
func (b *Broker) await(ctx context.Context, decided <-chan struct{}) {
	if decided == nil {
		return
	}
	late := time.NewTimer(decideMost)
	defer late.Stop()
	select {
	case <-decided:
	case <-late.C:
	case <-ctx.Done():
	case <-b.ctx.Done():
	}
}
