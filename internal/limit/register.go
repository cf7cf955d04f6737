package limit

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"
)

const shardCount = 64

// register counts the connections of subjects (addresses or users). A subject
// exists while it has one. Safe for concurrent use.
type register[K comparable] struct {
	seed   maphash.Seed // immutable
	most   int          // connections of one subject, 0: any number; immutable
	told   func(K, int) // is told of every number, under the shard's lock; set before the first; nil: nobody
	shards [shardCount]registerShard[K]
}

type registerShard[K comparable] struct {
	mu    sync.Mutex
	byKey map[K]*subject // guarded by mu
	_     [48]byte
}

// subject is one address or user.
type subject struct {
	connections int // guarded by the shard's mu

	messages, joins bucket
}

func newRegister[K comparable](most int) *register[K] {
	r := &register[K]{seed: maphash.MakeSeed(), most: most}
	for i := range r.shards {
		r.shards[i].byKey = map[K]*subject{}
	}
	return r
}

// enter counts a connection in and returns how many there are now; nil when the
// subject has as many as it may.
func (r *register[K]) enter(key K) (*subject, int) {
	sh := r.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.byKey[key]
	switch {
	case s == nil:
		s = &subject{}
		sh.byKey[key] = s
	case r.most > 0 && s.connections >= r.most:
		return nil, s.connections
	}
	s.connections++
	r.tell(key, s.connections)
	return s, s.connections
}

func (r *register[K]) tell(key K, connections int) {
	if r.told != nil {
		r.told(key, connections)
	}
}

// each calls f for every subject, in no order, until it returns false. No lock
// is held meanwhile.
func (r *register[K]) each(f func(key K, connections int) bool) {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		keys := slices.Collect(maps.Keys(sh.byKey))
		sh.mu.Unlock()
		for _, key := range keys {
			if n := r.connections(key); n > 0 && !f(key, n) {
				return
			}
		}
	}
}

// connections counts those of a subject.
func (r *register[K]) connections(key K) int {
	sh := r.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s := sh.byKey[key]; s != nil {
		return s.connections
	}
	return 0
}

// leave counts a connection out that has entered.
func (r *register[K]) leave(key K) {
	sh := r.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.byKey[key]
	if s.connections--; s.connections == 0 {
		delete(sh.byKey, key)
	}
	r.tell(key, s.connections)
}

// size counts the subjects.
func (r *register[K]) size() int {
	n := 0
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		n += len(sh.byKey)
		sh.mu.Unlock()
	}
	return n
}

func (r *register[K]) shard(key K) *registerShard[K] {
	return &r.shards[maphash.Comparable(r.seed, key)%shardCount]
}
