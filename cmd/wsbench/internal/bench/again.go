//go:build linux

package bench

import (
	"math/rand/v2"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
)

// overloaded is the close code with which a server asks to come back later.
const overloaded = 1013

// A connection that was asked to come back later does so after pauseLeast to
// twice that, as clients should.
const pauseLeast = 2 * time.Second

// again brings connections back that a server has put off while they came up,
// if the options want that. Owned by the loop.
type again struct {
	due []comeback
}

type comeback struct {
	slot int32
	at   int64
}

// take reports whether it brings a connection back that has ended; it counts it
// then.
func (a *again) take(cl *client, c *engine.Conn, why engine.Closure) bool {
	if !cl.f.opts.ComeBack || why.Code != overloaded || why.Ours {
		return false
	}
	cl.f.putOff.Add(1)
	pause := pauseLeast + rand.N(pauseLeast) //nolint:gosec // spreads the comebacks
	a.due = append(a.due, comeback{c.Slot, cl.l.Now() + int64(pause)})
	return true
}

// tick dials what is due, and returns the earlier of next and the time of the
// one that is due first.
func (a *again) tick(cl *client, now, next int64) int64 {
	kept := a.due[:0]
	for _, b := range a.due {
		if b.at <= now {
			c := &cl.l.Conns()[b.slot]
			cl.l.Redial(c, c.Target())
			continue
		}
		kept = append(kept, b)
		if next == 0 || b.at < next {
			next = b.at
		}
	}
	a.due = kept
	return next
}
