package membroker

import "testing"

// audit recounts everything that the broker counts as it goes, while nothing
// is under way.
func audit(t testing.TB, b *Broker) {
	t.Helper()
	var used, keys, waiting int64
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		n := 0
		var before *room
		for r := s.oldest; r != nil; r = r.newer {
			n++
			var bytes int64
			for j := range r.log.ring.Len() {
				bytes += publicationCost(r.log.ring.At(j).pub)
			}
			if !r.kept || r.older != before || s.rooms[r.name] != r || s.kept[r.place] != r ||
				before != nil && before.used > r.used || bytes != r.log.bytes || r.charged != r.cost() {
				t.Errorf("room %s is out of order: %+v", r.name, *r)
			}
			used += r.charged
			before = r
		}
		if n != len(s.kept) || s.newest != before {
			t.Errorf("shard %d: %d rooms in the order of use, %d kept", i, n, len(s.kept))
		}
		for _, r := range s.rooms {
			var cost int64
			for j := range r.queue.Len() {
				cost += r.queue.At(j).cost()
			}
			if cost != r.pending || r.scheduled != (r.queue.Len() > 0) || !r.kept && !r.scheduled {
				t.Errorf("room %s hands over out of order: %+v", r.name, *r)
			}
			waiting += cost
		}
		if s.keys.order.Len() < len(s.keys.records) {
			t.Errorf("shard %d: %d ends for %d keys", i, s.keys.order.Len(), len(s.keys.records))
		}
		oldestUse, oldestKey := int64(never), int64(never)
		if s.oldest != nil {
			oldestUse = s.oldest.used
		}
		if s.keys.order.Len() > 0 {
			oldestKey = s.keys.order.At(0).ends
		}
		if s.oldestUse.Load() != oldestUse || s.oldestKey.Load() != oldestKey {
			t.Errorf("shard %d: oldest use %d, want %d; oldest key %d, want %d",
				i, s.oldestUse.Load(), oldestUse, s.oldestKey.Load(), oldestKey)
		}
		if len(s.spareRooms) > spareMost || len(s.spareQueues) > spareMost {
			t.Errorf("shard %d: %d spare rooms and %d spare queues", i, len(s.spareRooms), len(s.spareQueues))
		}
		for _, r := range s.spareRooms {
			if r.name != "" || r.kept || r.pending != 0 || r.queue.Cap() != 0 {
				t.Errorf("a spare room holds %+v", *r)
			}
		}
		keys += keyCost * int64(s.keys.order.Len())
		s.mu.Unlock()
	}
	if b.used.Load() != used+keys || b.usedKeys.Load() != keys || b.waiting.Load() != waiting {
		t.Errorf("used %d of which keys %d, waiting %d; counted %d, %d, %d",
			b.used.Load(), b.usedKeys.Load(), b.waiting.Load(), used+keys, keys, waiting)
	}
	if b.overAll() || b.overKeys() {
		t.Errorf("over the budget: %d of which keys %d", b.used.Load(), b.usedKeys.Load())
	}
}

// quiet waits until everything was handed over, and audits.
func quiet(t testing.TB, b *Broker) {
	t.Helper()
	if err := b.Quiesce(t.Context()); err != nil {
		t.Fatalf("quiesce: %v", err)
	}
	audit(t, b)
}
