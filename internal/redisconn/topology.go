package redisconn

import "slices"

// topology says which shard holds which slot. Immutable, but for the closing
// of changed.
type topology struct {
	shards  []*Shard
	slots   *[slotCount]*Shard // nil: shards[0] holds everything, if there is one
	whole   bool               // every slot has a shard, and the cluster says that it is well
	changed chan struct{}      // closed when another topology has taken its place
}

// wholeTopology is that of one server.
func wholeTopology(s *Shard) *topology {
	return &topology{shards: []*Shard{s}, whole: true, changed: make(chan struct{})}
}

// at is the shard of a slot, nil when that is not known.
func (t *topology) at(slot int) *Shard {
	switch {
	case t.slots != nil:
		return t.slots[slot]
	case len(t.shards) == 1:
		return t.shards[0]
	}
	return nil
}

// same tells whether two topologies give the same answers.
func (t *topology) same(other *topology) bool {
	return t.whole == other.whole && t.slots != nil && other.slots != nil && *t.slots == *other.slots && slices.Equal(t.shards, other.shards)
}

// shard is the one with an ID, nil if there is none.
func (t *topology) shard(id string) *Shard {
	if i := slices.IndexFunc(t.shards, func(s *Shard) bool { return s.id == id }); i >= 0 {
		return t.shards[i]
	}
	return nil
}

// up tells whether every slot has a master that answers.
func (t *topology) up() bool {
	return t.whole && !slices.ContainsFunc(t.shards, func(s *Shard) bool { return !s.Up() })
}
