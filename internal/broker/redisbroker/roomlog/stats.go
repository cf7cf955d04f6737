package roomlog

import "sync/atomic"

// counters are events since New.
type counters struct {
	published, repeated, conflicts, retries, unavailable atomic.Uint64
	batches, commands, reloads                           atomic.Uint64
	waits, unreplicated, epochsEnded, faults             atomic.Uint64
}

// Stats is what the logs have counted since New.
type Stats struct {
	Published    uint64 // publications stored or sent
	Repeated     uint64 // publishes recognised as repeats
	Conflicts    uint64 // keys used with other content
	Retries      uint64 // requests sent a second time
	Unavailable  uint64 // requests that were answered by Unavailable
	Batches      uint64 // pipelines sent
	Commands     uint64 // commands in them
	Reloads      uint64 // pipelines that met a server without the scripts
	Waits        uint64 // pipelines that waited for replicas
	Unreplicated uint64 // publishes that too few replicas had in time
	EpochsEnded  uint64 // epochs that Verify has ended
	Faults       uint64 // commands that failed for a reason that does not pass
	Waiting      int    // requests that wait to be sent
}

// Stats returns the counters.
func (l *Log) Stats() Stats {
	c := &l.counts
	st := Stats{
		Published: c.published.Load(), Repeated: c.repeated.Load(), Conflicts: c.conflicts.Load(),
		Retries: c.retries.Load(), Unavailable: c.unavailable.Load(),
		Batches: c.batches.Load(), Commands: c.commands.Load(), Reloads: c.reloads.Load(),
		Waits: c.waits.Load(), Unreplicated: c.unreplicated.Load(),
		EpochsEnded: c.epochsEnded.Load(), Faults: c.faults.Load(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lanes := range l.lanes {
		for _, n := range lanes {
			st.Waiting += n.waiting()
		}
	}
	return st
}
