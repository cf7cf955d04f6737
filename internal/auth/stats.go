package auth

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Stats is a snapshot of counters, of one process since its start.
type Stats struct {
	Accepted    int64 // tokens that were accepted, cached answers included
	Rejected    int64 // tokens that were not
	Unavailable int64 // verifications and questions about rooms without an answer
	Cached      int64 // answers from memory
	Calls       int64 // calls of an auth service or for keys
	Running     int64 // of these, under way now
	Oversize    int64 // identities whose claims were left out: more than MaxClaims

	// Breakers are those of the service's paths, by name, in a fixed order.
	Breakers []BreakerStats
}

// BreakerStats is the state of the breaker of one path.
type BreakerStats struct {
	Name string
	fault.BreakerStats
}

// Counts reads the counters of a verifier. Safe for concurrent use.
type Counts func() Stats

// Names of breakers, in logs and metrics.
const (
	breakerVerify    = "auth_verify"
	breakerRefresh   = "auth_refresh"
	breakerUserInfo  = "auth_userinfo"
	breakerAuthorize = "auth_authorize"
	breakerKeys      = "auth_jwks"
)

// counters are what Stats shows. Safe for concurrent use.
type counters struct {
	accepted, rejected, unavailable, cached, calls, running, oversize atomic.Int64
}

func (c *counters) snapshot(endpoints ...*endpoint) Stats {
	s := Stats{
		Accepted: c.accepted.Load(), Rejected: c.rejected.Load(), Unavailable: c.unavailable.Load(),
		Cached: c.cached.Load(), Calls: c.calls.Load(), Running: c.running.Load(), Oversize: c.oversize.Load(),
	}
	for _, e := range endpoints {
		s.Breakers = append(s.Breakers, BreakerStats{e.breaker.Name(), e.breaker.Stats()})
	}
	return s
}

// rarely lets something be said once in a while. Safe for concurrent use.
type rarely struct{ last atomic.Int64 }

// rareEvery is how often.
const rareEvery = 30 * time.Second

// again tells whether it may be said now.
func (r *rarely) again() bool {
	now := time.Now().UnixNano()
	last := r.last.Load()
	return (last == 0 || now-last >= int64(rareEvery)) && r.last.CompareAndSwap(last, now)
}

// streak counts questions in a row that got neither yes nor no. Safe for
// concurrent use.
type streak struct{ n atomic.Int64 }

// longStreak is how many answers without a word say that the service cannot be
// asked: a single token may bring about some. One question without a usable
// answer says as much.
const longStreak = 5

func (s *streak) long() bool { return s.n.Load() >= longStreak }

// count adds the outcome of a question.
func (s *streak) count(err error) {
	var o outageError
	switch {
	case err == nil, wire.IsCode(err, wire.Unauthenticated):
		s.n.Store(0)
	case errors.As(err, &o) && o.well:
		s.n.Add(1)
	case o.why != "":
		s.n.Store(longStreak)
	}
}
