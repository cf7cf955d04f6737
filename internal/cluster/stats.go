package cluster

import "sync/atomic"

// Stats is a snapshot of what the registry has done since it started.
type Stats struct {
	Instances  map[State]int // in the view, by state; this one too
	Beats      int64
	Failures   int64 // heartbeats that Redis has not taken
	Unreadable int64 // records of others that could not be read
	Gone       int64 // instances that have left or were not heard of any more
}

type counters struct {
	beats, failures, unreadable, gone atomic.Int64
}

// Stats returns the counters.
func (r *Registry) Stats() Stats {
	s := Stats{
		Instances: map[State]int{Ready: 0, Full: 0, Draining: 0},
		Beats:     r.stats.beats.Load(), Failures: r.stats.failures.Load(),
		Unreadable: r.stats.unreadable.Load(), Gone: r.stats.gone.Load(),
	}
	for _, i := range r.View() {
		s.Instances[i.State]++
	}
	return s
}

// BusStats is a snapshot of what the bus has done since it started.
type BusStats struct {
	Asked      int64 // questions to all others
	Missing    int64 // answers that did not come in time
	Repeated   int64 // questions that one instance was asked again
	Late       int64 // answers that nobody waited for any more
	Handled    int64 // questions of others
	Dropped    int64 // messages for which there was no room
	Unreadable int64
}

type busCounters struct {
	asked, missing, repeated, late, handled, dropped, unreadable atomic.Int64
}

// Stats returns the counters.
func (b *Bus) Stats() BusStats {
	return BusStats{
		Asked: b.stats.asked.Load(), Missing: b.stats.missing.Load(), Repeated: b.stats.repeated.Load(), Late: b.stats.late.Load(),
		Handled: b.stats.handled.Load(), Dropped: b.stats.dropped.Load(), Unreadable: b.stats.unreadable.Load(),
	}
}
