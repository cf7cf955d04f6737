package gateway

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// rejoinSpread is over how long clients are asked to spread their reconnects
// beyond the spread in time with which they are told.
const rejoinSpread = time.Second

// reason is why a client is told to reconnect.
type reason string

// The reasons.
const (
	reasonDrain     reason = "drain"
	reasonRebalance reason = "rebalance"
)

// closeDrain lets a client connect again, to another instance.
var closeDrain = wire.Close{Code: wire.CloseServiceRestart, Reason: string(reasonDrain)}

// UseElsewhere says which URL clients are told to reconnect to; "" is none:
// where they came from. f is called for each client and must be quick. Call it
// before the first connection.
func (g *Gateway) UseElsewhere(f func() string) { g.elsewhere = f }

// HandOff tells n clients at random to reconnect elsewhere and closes their
// connections, spread evenly over a time, after which it returns. It stops early
// when ctx ends or a drain begins. It returns how many were told: fewer than n
// when there are fewer.
func (g *Gateway) HandOff(ctx context.Context, n int, over time.Duration) (told int) {
	chosen := sample(g.parts.Hub.Sessions(), n)
	turns := max(int(over/drainTick), 1)
	next := 0
	for turn := 1; turn <= turns; turn++ {
		if g.draining.Load() {
			return told
		}
		for until := len(chosen) * turn / turns; next < until; next++ {
			if goodbye(chosen[next], reasonRebalance, g.where()) {
				told++
			}
		}
		if pause(ctx, over/time.Duration(turns)) != nil {
			return told
		}
	}
	return told
}

// sample moves n of all, at random, to the front and returns them.
func sample[T any](all []T, n int) []T {
	n = min(max(n, 0), len(all))
	for i := range n {
		j := i + rand.IntN(len(all)-i) //nolint:gosec // no secret
		all[i], all[j] = all[j], all[i]
	}
	return all[:n]
}

// where is the URL that a client is told, "" when there is none to tell.
func (g *Gateway) where() string {
	if g.elsewhere == nil {
		return ""
	}
	return g.elsewhere()
}

// goodbye sends a client to another instance, at url or where it came from;
// false when it is on its way out already.
func goodbye(s *session.Session, why reason, url string) bool {
	data, err := json.Marshal(struct {
		Reason  reason `json:"reason"`
		AfterMS int64  `json:"afterMs"`
		URL     string `json:"url,omitempty"`
	}{why, rand.Int64N(int64(rejoinSpread / time.Millisecond)), url}) //nolint:gosec // a spread, no secret
	if err != nil {
		return false // not reached: strings and a number
	}
	told := s.Send(wire.Event{Name: wire.EventReconnect, Data: data})
	s.Close(wire.Close{Code: wire.CloseServiceRestart, Reason: string(why)})
	return told
}
