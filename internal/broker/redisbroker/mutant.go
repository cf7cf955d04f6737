//go:build !mutant

package redisbroker

import (
	"context"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// mutation is a fault that is planted to test the tests. This one is none, and
// is compiled away: builds with the tag "mutant" have others.
type mutation struct{}

func newMutation() *mutation { return nil }

func (*mutation) judge(_ *cursor, _ arrival, s step) step { return s }
func (*mutation) dropsArrival() bool                      { return false }
func (*mutation) verifies() bool                          { return true }
func (*mutation) acknowledgesEarly() bool                 { return false }
func (*mutation) change(*broker.Publication)              {}

func (*mutation) read(
	ctx context.Context, logs *roomlog.Log, room string, since wire.Position, limit int,
) (broker.Page, error) {
	return logs.Read(ctx, room, since, limit)
}
