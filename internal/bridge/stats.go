package bridge

import "sync/atomic"

// outcome is how a call of an upstream ended.
type outcome int

const (
	answered    outcome = iota // 2xx with JSON, or nothing
	refused                    // 4xx that the client was told
	failed                     // no connection, a broken one, or 5xx
	late                       // no answer within the timeout
	garbage                    // an answer that nobody can use
	breakerOpen                // not called: it fails too often
	busy                       // not called: as many calls as may be at once
	cancelled                  // the gateway shut down
	outcomes    int     = iota
)

// Outcomes names how calls end, in the order of CallStats.Calls.
func Outcomes() []string {
	return []string{"answered", "refused", "failed", "timeout", "garbage", "breaker_open", "busy", "cancelled"}
}

// CallStats is a snapshot of calls of upstreams.
type CallStats struct {
	Calls   []int64 // since the start, by outcome, as Outcomes names them
	Retries int64   // attempts beside the first ones
	Running int64   // calls now
}

// WebhookStats is a snapshot of webhooks.
type WebhookStats struct {
	Queued             int64 // events that wait now
	Delivered, Dropped int64 // events that were taken, or given up
	Retries            int64 // requests beside the first ones
}

// counters count calls.
type counters struct {
	calls   [outcomes]atomic.Int64
	retries atomic.Int64
	running atomic.Int64
}

func (c *counters) read() CallStats {
	out := CallStats{Calls: make([]int64, outcomes), Retries: c.retries.Load(), Running: c.running.Load()}
	for i := range c.calls {
		out.Calls[i] = c.calls[i].Load()
	}
	return out
}
