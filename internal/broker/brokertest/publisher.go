package brokertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// publisher publishes numbered messages to one room, one after the other. Some
// carry an idempotency key: these it repeats, or gives too little time at
// first.
type publisher struct {
	*crowd
	lounge *lounge
	nr     int
	rand   *rand.Rand // owned by run
}

func (p *publisher) run(ctx context.Context, n int) {
	for i := 1; i <= n && !p.failed(); i++ {
		if p.complete {
			p.lounge.waitFor(uint64(p.keep.Size) / 2)
		}
		pos, err := p.publish(ctx, i)
		if err != nil {
			p.fail("%s: publish %d: %v", p.lounge.room, i, err)
			break
		}
		p.lounge.facts.note("publisher", pos, p.nr, i)
		p.lounge.rise(pos.Offset)
		runtime.Gosched() // readers want to live too
	}
}

func (p *publisher) publish(ctx context.Context, i int) (wire.Position, error) {
	b := p.halls[p.rand.IntN(len(p.halls))].b
	pub := broker.Publication{Retention: p.keep}
	pub.Room, pub.Event, pub.Data = p.lounge.room, "said", fmt.Appendf(nil, "[%d,%d]", p.nr, i)
	pub.Publisher = fmt.Sprint("publisher-", p.nr)
	dice := p.rand.IntN(32)
	if dice > 2 {
		return b.Publish(ctx, pub)
	}
	pub.IdempotencyKey = fmt.Sprint("key-", i)
	if dice == 0 {
		hasty, cancel := context.WithTimeout(ctx, time.Duration(p.rand.IntN(20))*time.Microsecond)
		defer cancel()
		if pos, err := b.Publish(hasty, pub); !wire.IsCode(err, wire.Unavailable) {
			return pos, err
		}
		return b.Publish(ctx, pub) // whether it was stored or not
	}
	first, err := b.Publish(ctx, pub)
	if err != nil {
		return first, err
	}
	again, err := p.halls[p.rand.IntN(len(p.halls))].b.Publish(ctx, pub)
	if err == nil && again != first {
		err = fmt.Errorf("first %v, then %v", first, again)
	}
	return first, err
}
