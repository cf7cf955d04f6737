package membroker

import "time"

const (
	sweepEvery   = time.Second
	sweepRooms   = 128  // rooms looked at per shard and tick
	sweepEntries = 4096 // entries expired per room and tick
	sweepBurst   = 1024 // keys expired per shard and tick, or per publish
	mapWorth     = 1024 // maps that held fewer are not remade
	metaTTL      = 24 * time.Hour
)

// sweepForever drops what has expired, a bounded amount per tick.
func (b *Broker) sweepForever() {
	defer b.exited()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.quit:
			return
		case now := <-tick.C:
			for i := range b.shards {
				b.shards[i].sweep(now)
			}
		}
	}
}

// sweep drops expired keys, and what has expired in the next rooms.
func (s *shard) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.b.since(now)
	s.expireKeys(since, sweepBurst)
	s.keys.order.Compact()
	for range min(sweepRooms, len(s.kept)) {
		if s.cursor >= len(s.kept) {
			s.cursor = 0
		}
		// A room that goes is replaced by the last one, which then comes next.
		if !s.sweepRoom(s.kept[s.cursor], now, since) {
			s.cursor++
		}
	}
	s.shrink()
}

// sweepRoom reports whether the room lost its metadata. Guarded by mu.
func (s *shard) sweepRoom(r *room, now time.Time, since int64) bool {
	if r.log.expire(r.retention.Age, now.UnixMilli(), sweepEntries) > 0 {
		s.recharge(r)
	}
	// The newest entry was made when the room was used, and expired Age later.
	if r.log.ring.Len() > 0 || since-r.used-int64(metaTTL) < int64(r.retention.Age) {
		return false
	}
	s.forget(r, reasonEpoch)
	return true
}

// shrink remakes maps that were once much larger: a Go map keeps its memory.
// Guarded by mu.
func (s *shard) shrink() {
	s.rooms, s.peak = remake(s.rooms, s.peak)
	s.keys.records, s.keys.peak = remake(s.keys.records, s.keys.peak)
}

func remake[K comparable, V any](m map[K]V, peak int) (map[K]V, int) {
	if peak < mapWorth || len(m) > peak/8 {
		return m, peak
	}
	small := make(map[K]V, len(m))
	for k, v := range m {
		small[k] = v
	}
	return small, len(m)
}
