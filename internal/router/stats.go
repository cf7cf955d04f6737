package router

import (
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Stats is a snapshot of what the router has done since it started.
type Stats struct {
	Requests  int64 // messages of clients
	Published int64 // publishes that were stored
	Errors    map[wire.Code]int64
}

type counters struct {
	requests, published atomic.Int64
	errors              [16]atomic.Int64 // by index in wire.Codes
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
	out := Stats{Requests: r.stats.requests.Load(), Published: r.stats.published.Load(), Errors: map[wire.Code]int64{}}
	for i, code := range wire.Codes() {
		out.Errors[code] = r.stats.errors[i].Load()
	}
	return out
}
