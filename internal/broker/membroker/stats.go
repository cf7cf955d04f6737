package membroker

// counters are events counted by a shard. Guarded by its mu.
type counters struct {
	published, repeated, delivered, waits, evicted, gaps uint64
}

// Stats is a picture of the broker, consistent per shard.
type Stats struct {
	Rooms        int   // rooms with history or metadata
	Busy         int   // rooms with something to hand over
	Entries      int   // publications kept
	Keys         int   // idempotency keys kept
	MemoryBytes  int64 // what history, metadata and keys count in the budget
	HandoffBytes int64 // cost of what waits for the Sink

	// Counted since New.
	Published uint64 // publications stored or handed over
	Repeated  uint64 // publishes recognised as repeats
	Delivered uint64 // publications the Sink has taken
	Waits     uint64 // times a publish found a full hand-off
	Evicted   uint64 // rooms whose history the budget took
	Gaps      uint64 // epochs that ended
}

// Stats counts rooms and entries by walking them: for a scrape, not for every
// request.
func (b *Broker) Stats() Stats {
	var st Stats
	for i := range b.shards {
		b.shards[i].addTo(&st)
	}
	st.MemoryBytes = b.used.Load()
	st.HandoffBytes = b.waiting.Load()
	return st
}

func (s *shard) addTo(st *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Rooms += len(s.kept)
	st.Keys += len(s.keys.records)
	for _, r := range s.kept {
		st.Entries += r.log.ring.Len()
	}
	for _, r := range s.rooms {
		if r.scheduled {
			st.Busy++
		}
	}
	st.Published += s.count.published
	st.Repeated += s.count.repeated
	st.Delivered += s.count.delivered
	st.Waits += s.count.waits
	st.Evicted += s.count.evicted
	st.Gaps += s.count.gaps
}
