package redisbroker

import (
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
)

// counters are what the broker counts as it goes.
type counters struct {
	delivered, waits, gaps, holes, refills, refilled, overflows, apart atomic.Uint64
	verified, unheld, reconnects, commands, channels, malformed        atomic.Uint64
	notices                                                            atomic.Uint64
}

// Stats is a picture of the broker.
type Stats struct {
	Log roomlog.Stats

	Rooms        int   // subscribed, or with something to hand over
	Live         int   // of them, those that the server has confirmed
	Behind       int   // of them, those whose log is being read
	Busy         int   // of them, those with something to hand over
	HandoffBytes int64 // cost of what waits for the Sink

	// Counted since New.
	Delivered     uint64 // publications the Sink has taken
	Waits         uint64 // publishes that found a full hand-off
	Gaps          uint64 // holes that subscribers were told of
	Holes         uint64 // times something was missing, or did not follow
	Refills       uint64 // pages of logs read to close holes
	Refilled      uint64 // publications that came from there
	Overflows     uint64 // publications that found no space
	Apart         uint64 // pages read again, as they did not go with what came live
	Verified      uint64 // positions verified
	Unheld        uint64 // of them, those that the log does not go on from
	Reconnects    uint64 // subscription connections lost
	Commands      uint64 // (un)subscribe commands sent
	Subscriptions uint64 // channels in them
	Malformed     uint64 // messages that could not be read
	Notices       uint64 // notices received
}

// Stats counts rooms by walking them: for a scrape, not for every request.
func (b *Broker) Stats() Stats {
	st := Stats{
		Log: b.logs.Stats(), HandoffBytes: b.waiting.Load(),
		Delivered: b.count.delivered.Load(), Waits: b.count.waits.Load(), Gaps: b.count.gaps.Load(),
		Holes: b.count.holes.Load(), Refills: b.count.refills.Load(), Refilled: b.count.refilled.Load(),
		Overflows: b.count.overflows.Load(), Apart: b.count.apart.Load(), Verified: b.count.verified.Load(),
		Unheld: b.count.unheld.Load(), Reconnects: b.count.reconnects.Load(), Commands: b.count.commands.Load(),
		Subscriptions: b.count.channels.Load(), Malformed: b.count.malformed.Load(), Notices: b.count.notices.Load(),
	}
	for _, r := range b.all() {
		r.addTo(&st)
	}
	return st
}

func (r *room) addTo(st *Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Rooms++
	if r.live {
		st.Live++
	}
	if r.behind {
		st.Behind++
	}
	if r.scheduled || r.held {
		st.Busy++
	}
}
