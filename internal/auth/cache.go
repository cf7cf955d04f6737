package auth

import (
	"sync"
	"time"
)

// keptBytes is what an entry costs besides its value, keys and maps included.
const keptBytes = 256

// cache remembers answers by the digest of what was asked, each for a while. It
// has two generations: the young one becomes the old one when it is half of
// the budget or as old as an answer may be, and the old one is dropped. So
// memory is bounded, without a goroutine and in constant time. Safe for
// concurrent use.
type cache[V any] struct {
	// Immutable.
	ttl   time.Duration // 0: nothing is kept
	bytes int
	size  func(V) int

	mu         sync.Mutex
	young, old map[Digest]kept[V] // guarded by mu
	used       int                // guarded by mu: by young
	born       time.Time          // guarded by mu: young
}

type kept[V any] struct {
	value V
	until time.Time
}

func newCache[V any](ttl time.Duration, bytes int, size func(V) int) *cache[V] {
	return &cache[V]{ttl: ttl, bytes: bytes, size: size, young: map[Digest]kept[V]{}, born: time.Now()}
}

// get returns what is remembered of a key.
func (c *cache[V]) get(key Digest) (V, bool) {
	c.mu.Lock()
	k, found := c.young[key]
	if !found {
		k, found = c.old[key]
	}
	c.mu.Unlock()
	if !found || !time.Now().Before(k.until) {
		var none V
		return none, false
	}
	return k.value, true
}

// put remembers an answer for the cache's time, but not beyond its end; a zero
// end is none.
func (c *cache[V]) put(key Digest, value V, end time.Time) {
	if c.ttl <= 0 {
		return
	}
	now := time.Now()
	until := now.Add(c.ttl)
	if !end.IsZero() && end.Before(until) {
		until = end
	}
	cost := keptBytes + c.size(value)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used+cost > c.bytes/2 || now.Sub(c.born) > c.ttl {
		c.old, c.young, c.used, c.born = c.young, map[Digest]kept[V]{}, 0, now
	}
	c.young[key] = kept[V]{value, until}
	c.used += cost
}
