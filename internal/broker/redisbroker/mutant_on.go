//go:build mutant

package redisbroker

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// mutation is a fault that is planted to test the tests: the one that the
// environment variable GATEWAY_MUTANT names, in builds with the tag "mutant"
// alone.
type mutation struct {
	name string
	n    atomic.Uint64
}

// dropEvery is one in how many arrivals "drop_publish" loses.
const dropEvery = 200

func newMutation() *mutation { return &mutation{name: os.Getenv("GATEWAY_MUTANT")} }

// judge lets pass what does not follow.
func (m *mutation) judge(c *cursor, a arrival, s step) step {
	pos := a.pub.Position
	if s != look || pos.Epoch != c.at.Epoch || pos.Offset <= c.at.Offset {
		return s
	}
	if m.name == "skip_gap" || m.name == "skip_nonce" && pos.Offset == c.at.Offset+1 {
		c.advance(a.pub)
		return deliver
	}
	return s
}

// dropsArrival loses something that is thought to be handed on.
func (m *mutation) dropsArrival() bool { return m.name == "drop_publish" && m.n.Add(1)%dropEvery == 0 }

// verifies is whether positions are checked that nothing follows.
func (m *mutation) verifies() bool { return m.name != "skip_nonce" && m.name != "skip_gap" }

func (m *mutation) acknowledgesEarly() bool { return m.name == "ack_early" }

func (m *mutation) change(p *broker.Publication) {
	if m.name == "forget_key" {
		p.IdempotencyKey = ""
	}
}

// read takes an offset for the entry, whatever its nonce is.
func (m *mutation) read(
	ctx context.Context, logs *roomlog.Log, room string, since wire.Position, limit int,
) (broker.Page, error) {
	page, err := logs.Read(ctx, room, since, limit)
	var refused *broker.InsufficientStateError
	if m.name != "skip_nonce" || !errors.As(err, &refused) || refused.Reason != "entry_changed" {
		return page, err
	}
	page, err = logs.Read(ctx, room, wire.Position{}, broker.NoLimit)
	page.Publications = slices.DeleteFunc(page.Publications, func(p *wire.Publication) bool {
		return p.Position.Offset <= since.Offset
	})
	if limit >= 0 && len(page.Publications) > limit {
		page.Publications = page.Publications[:limit]
	}
	return page, err
}
