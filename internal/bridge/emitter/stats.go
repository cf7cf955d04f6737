package emitter

import "sync/atomic"

// Stats is a snapshot of what this instance has done since it started.
type Stats struct {
	Connected  bool  // it listens now
	Reconnects int64 // connections that were lost
	Received   int64 // messages that came
	Dropped    int64 // of them, those that came faster than they could be carried out
	Events     int64 // events that were for this instance's namespaces
	Elsewhere  int64 // events for one room without members here
	Delivered  int64 // copies of events that connections were sent
	Requests   int64 // requests that were carried out
	Servers    int64 // events for servers, which nobody here listens to
	Ignored    int64 // what is of another namespace, no event, or a question of Node servers
	Refused    int64 // events with reserved names, memberships that cannot be
	Unreadable int64 // messages that are malformed or too large
}

// counters count what was done.
type counters struct {
	connected atomic.Bool

	reconnects, received, dropped, events, elsewhere, delivered atomic.Int64
	requests, servers, ignored, refused, unreadable             atomic.Int64
}

// Stats returns the counters.
func (l *Listener) Stats() Stats {
	c := &l.stats
	return Stats{
		Connected: c.connected.Load(), Reconnects: c.reconnects.Load(), Received: c.received.Load(), Dropped: c.dropped.Load(),
		Events: c.events.Load(), Elsewhere: c.elsewhere.Load(), Delivered: c.delivered.Load(), Requests: c.requests.Load(),
		Servers: c.servers.Load(), Ignored: c.ignored.Load(), Refused: c.refused.Load(), Unreadable: c.unreadable.Load(),
	}
}
