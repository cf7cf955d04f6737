package router

import (
	"slices"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Stats is a snapshot of what the router has done since it started.
type Stats struct {
	Requests  int64 // messages of clients
	Published int64 // publishes that were stored
	Errors    map[wire.Code]int64
	// Closed are the sessions that ended, by what ended them; 0 stands for
	// codes that are not the gateway's, which a peer may send.
	Closed map[wire.CloseCode]int64

	Expired     int64 // connections that ended with their token
	Graced      int64 // connections that outlived it while it could not be renewed
	Revoked     int64 // connections that ended by a revocation
	Revocations int64 // users and tokens that are remembered as revoked, now
	Grants      int64 // memberships that are asked about again, now
	Asked       int64 // questions who may join a room
	Withdrawn   int64 // memberships that ended as they were not granted again
}

type counters struct {
	requests, published atomic.Int64

	expired, graced, revoked, grants, asked, withdrawn atomic.Int64

	errors [16]atomic.Int64 // by index in wire.Codes
	closed [32]atomic.Int64 // by index in wire.CloseCodes, and behind them the others
}

func (c *counters) ended(code wire.CloseCode) {
	all := wire.CloseCodes()
	i := slices.Index(all, code)
	if i < 0 {
		i = len(all)
	}
	c.closed[i].Add(1)
}

func (c *counters) failed(code wire.Code) {
	for i, known := range wire.Codes() {
		if known == code {
			c.errors[i].Add(1)
		}
	}
}

// Stats returns the counters.
func (r *Router) Stats() Stats {
	c := &r.stats
	out := Stats{
		Requests: c.requests.Load(), Published: c.published.Load(), Errors: map[wire.Code]int64{},
		Expired: c.expired.Load(), Graced: c.graced.Load(), Revoked: c.revoked.Load(), Revocations: r.revoked.count.Load(),
		Grants: c.grants.Load(), Asked: c.asked.Load(), Withdrawn: c.withdrawn.Load(),
	}
	out.Closed = map[wire.CloseCode]int64{}
	for i, code := range append(wire.CloseCodes(), 0) {
		out.Closed[code] = c.closed[i].Load()
	}
	for i, code := range wire.Codes() {
		out.Errors[code] = r.stats.errors[i].Load()
	}
	return out
}
