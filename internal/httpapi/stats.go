package httpapi

import (
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Stats is a snapshot of what the API has done since it started.
type Stats struct {
	Requests  int64 // with a key
	Published int64 // publications that were taken
	Problems  map[wire.Code]int64
}

// Codes lists every code of a problem that the API answers.
func Codes() []wire.Code { return append(wire.Codes(), codeNotFound, codeMethod, codeMediaType) }

type counters struct {
	requests, published atomic.Int64
	problems            [20]atomic.Int64 // by index in Codes
}

func (c *counters) failed(code wire.Code) {
	for i, known := range Codes() {
		if known == code {
			c.problems[i].Add(1)
		}
	}
}

// Stats returns the counters.
func (a *API) Stats() Stats {
	out := Stats{Requests: a.stats.requests.Load(), Published: a.stats.published.Load(), Problems: map[wire.Code]int64{}}
	for i, code := range Codes() {
		out.Problems[code] = a.stats.problems[i].Load()
	}
	return out
}
