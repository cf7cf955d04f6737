package metrics

import (
	"github.com/moonx-farm/ws-gateway/internal/bridge/streams"
	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/presence"
)

// Streams registers the metrics of the command stream and of routes to streams.
func (r *Registry) Streams(commands func() streams.CommandStats, routes func() streams.RouteStats) {
	c := &Collector{}
	c.gauge("commands_active", "Whether this instance reads the command stream.")
	c.gauge("commands_waiting", "Entries in the command stream, as its reader sees it.")
	c.gauge("commands_under_way", "Commands that were read and are not acknowledged.")
	c.counter("commands_executed_total", "Commands that were carried out.")
	c.counter("commands_absent_total", "Commands that found no connection.")
	c.counter("commands_dead_total", "Commands that were moved to the dead letters.")
	c.counter("commands_trimmed_total", "Entries that were deleted before they were executed.")
	c.counter("commands_retries_total", "Attempts beside the first ones.")
	c.counter("stream_events_added_total", "Events that routes have added to streams.")
	c.counter("stream_events_failed_total", "Events that Redis did not take, or is not known to.")
	c.counter("stream_events_refused_total", "Events beyond what may be on its way at once.")
	c.gauge("stream_events_under_way", "Events on their way to streams.")
	c.read = func(set func(float64)) {
		s, e := commands(), routes()
		active := 0.0
		if s.Active {
			active = 1
		}
		set(active)
		for _, v := range []int64{
			s.Length, s.UnderWay, s.Executed, s.Absent, s.Dead, s.Trimmed, s.Retries, e.Added, e.Failed, e.Refused, e.Running,
		} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}

// Revocations registers the metrics of the ledger of revocations.
func (r *Registry) Revocations(stats func() cluster.RevocationStats) {
	c := &Collector{}
	c.counter("revocations_recorded_total", "Revocations that were written for the fleet.")
	c.counter("revocations_failed_total", "Revocations that could not be written: Redis away, or no more may be kept.")
	c.counter("revocations_loads_total", "Times the whole ledger was read.")
	c.read = func(set func(float64)) {
		s := stats()
		set(float64(s.Recorded))
		set(float64(s.Failed))
		set(float64(s.Loads))
	}
	r.reg.MustRegister(c)
}

// Presence registers the metrics of the directory of users and rooms.
func (r *Registry) Presence(stats func() presence.Stats) {
	c := &Collector{}
	c.gauge("presence_changes_waiting", "Changes of users and rooms that are not written yet.")
	c.gauge("presence_lingering", "Users who lost their connection a moment ago.")
	c.counter("presence_batches_total", "Batches of changes written.")
	c.counter("presence_failures_total", "Batches whose outcome is not known, and that are repeated.")
	c.counter("presence_rewrites_total", "Times that everything of this instance was written anew.")
	c.counter("presence_announced_total", "Users who came or went, told to the fleet.")
	c.counter("presence_pages_read_total", "Pages of a room's users that were read.")
	c.counter("presence_pages_unread_total", "Pages of a room's users that could not be read, or not wholly.")
	c.counter("presence_buried_total", "Vanished instances whose users this one told of.")
	c.read = func(set func(float64)) {
		s := stats()
		set(float64(s.Waiting))
		set(float64(s.Lingering))
		for _, v := range []int64{s.Batches, s.Failures, s.Anew, s.Announced, s.Read, s.Unread, s.Buried} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}
