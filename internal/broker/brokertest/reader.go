package brokertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// reader is one subscriber of the concurrent tests: it joins a room on some
// node, reads for a while, leaves, stays away, and resumes where it was.
type reader struct {
	*crowd
	name   string
	lounge *lounge
	rand   *rand.Rand // owned by run

	// Owned by run.
	last  wire.Position
	heard []int // per publisher, its latest message

	offset  atomic.Uint64 // of last, for publishers that must not run ahead
	read    int           // publications read
	refused int           // resumes refused and gaps
	resumed int           // resumes honoured
}

func (r *reader) run(ctx context.Context) {
	for !r.over() {
		r.visit(ctx, 1+r.rand.IntN(100))
		r.lounge.stayAway(r.offset.Load(), r.rand.Uint64N(1+r.rand.Uint64N(r.away)))
	}
	// Everything is published: the last visit leads to the top.
	r.visit(ctx, 0)
}

// visit reads at least most publications, or less if the reader is cut or the
// publishers are done; it leaves in any case.
func (r *reader) visit(ctx context.Context, most int) {
	h := r.halls[r.rand.IntN(len(r.halls))]
	s, err := h.sit(ctx, r.lounge.room)
	if err == nil {
		err = r.join(ctx, h.b, s)
	}
	for enough := r.read + most; err == nil && r.read < enough && !r.failed(); {
		events, cut := s.take()
		for _, e := range events {
			r.meet(e)
		}
		if cut || len(events) == 0 && r.over() {
			break
		}
		select {
		case <-s.news:
		case <-r.done:
		}
	}
	if err = errors.Join(err, h.stand(ctx, r.lounge.room, s)); err != nil {
		r.fail("%s: %v", r.name, err)
	}
}

// join reads the log from the reader's position until the page and what was
// held back meet.
func (r *reader) join(ctx context.Context, b broker.Broker, s *seat) error {
	for !r.failed() {
		page, err := b.History(ctx, r.lounge.room, r.last, broker.NoLimit)
		var refusal *broker.InsufficientStateError
		switch {
		case errors.As(err, &refusal):
			r.hole(page.Top, refusal.Reason)
		case err != nil:
			return fmt.Errorf("resume from %v: %w", r.last, err)
		default:
			r.resumed++
			for _, p := range page.Publications {
				r.meet(Event{Pub: p})
			}
			if r.last != page.Top {
				r.fail("%s: a page up to %v ended at %v", r.name, page.Top, r.last)
			}
		}
		if s.settle(page.Top) {
			return nil
		}
	}
	return nil
}

// meet checks that an event follows on what the reader has.
func (r *reader) meet(e Event) {
	if e.Gap != nil {
		r.hole(e.Gap.Top, e.Gap.Reason)
		return
	}
	pos := e.Pub.Position
	if pos.Epoch != r.last.Epoch || pos.Offset != r.last.Offset+1 {
		r.fail("%s: %v followed %v", r.name, pos, r.last)
	}
	var from, nr int
	if _, err := fmt.Sscanf(string(e.Pub.Data), "[%d,%d]", &from, &nr); err != nil || from >= len(r.heard) {
		r.fail("%s: data %q", r.name, e.Pub.Data)
		return
	}
	if next := r.heard[from] + 1; nr < next || nr > next && r.refused == 0 {
		r.fail("%s: message %d of publisher %d at %v instead of %d", r.name, nr, from, pos, next)
	}
	r.heard[from] = nr
	r.lounge.facts.note(r.name, pos, from, nr)
	r.read++
	r.reach(pos)
}

// hole goes on after a hole that was announced.
func (r *reader) hole(top wire.Position, reason string) {
	if r.complete {
		r.fail("%s: refused at %v, top %v: %s", r.name, r.last, top, reason)
	}
	r.refused++
	r.reach(top)
}

func (r *reader) reach(pos wire.Position) {
	r.last = pos
	r.offset.Store(pos.Offset)
	r.lounge.moved()
}
