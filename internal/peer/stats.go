package peer

import "sync/atomic"

// Stats is a snapshot of a Forwarder.
type Stats struct {
	Requests, WebSockets int64 // under way
	Passed               int64 // since the start, WebSockets too
	Failed               int64 // of them: no answer, or one that broke off
	Unknown              int64 // requests that were answered by "Session ID unknown"
	Busy                 int64 // requests that were refused because too many were under way
}

type counters struct{ passed, failed, unknown, busy atomic.Int64 }

// Stats returns the counters.
func (f *Forwarder) Stats() Stats {
	return Stats{
		Requests: f.requests.Load(), WebSockets: f.webSockets.Load(), Passed: f.stats.passed.Load(),
		Failed: f.stats.failed.Load(), Unknown: f.stats.unknown.Load(), Busy: f.stats.busy.Load(),
	}
}

// ReceiverStats is a snapshot of a Receiver.
type ReceiverStats struct {
	Taken   int64 // requests of other instances
	Refused int64 // requests without a valid ticket
}

type receiverCounters struct{ taken, refused atomic.Int64 }

// Stats returns the counters.
func (v *Receiver) Stats() ReceiverStats {
	return ReceiverStats{Taken: v.stats.taken.Load(), Refused: v.stats.refused.Load()}
}
