package membroker

// reclaim takes the oldest keys and the least recently used rooms away until
// the budget holds again.
func (b *Broker) reclaim() {
	if !b.overAll() && !b.overKeys() {
		return
	}
	b.reclaiming.Lock()
	defer b.reclaiming.Unlock()
	for b.overKeys() && b.dropOldestKey() {
	}
	// Not for keys: others may have added some meanwhile, and come for them.
	for b.overAll() && (b.evictOldest() || b.dropOldestKey()) {
	}
}

func (b *Broker) overAll() bool { return b.used.Load() > b.cfg.MemoryBytes }

// overKeys tells whether keys take more than their quarter of the budget.
func (b *Broker) overKeys() bool { return b.usedKeys.Load() > b.cfg.MemoryBytes/4 }

// evictOldest ends the epoch of the least recently used room; false if no room
// has history.
func (b *Broker) evictOldest() bool {
	s := b.oldest(func(s *shard) int64 { return s.oldestUse.Load() })
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.oldest != nil {
		s.forget(s.oldest, "history_lost")
		s.count.evicted++
	}
	return true
}

// dropOldestKey forgets the key that ends first; false if there is none.
func (b *Broker) dropOldestKey() bool {
	s := b.oldest(func(s *shard) int64 { return s.oldestKey.Load() })
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys.order.Len() > 0 {
		s.dropKey()
	}
	return true
}

// oldest returns the shard with the smallest age, nil if all say never.
func (b *Broker) oldest(age func(*shard) int64) *shard {
	var found *shard
	least := int64(never)
	for i := range b.shards {
		if a := age(&b.shards[i]); a < least {
			found, least = &b.shards[i], a
		}
	}
	return found
}
