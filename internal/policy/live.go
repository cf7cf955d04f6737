package policy

import "sync/atomic"

// Live is the policy in force; it can be replaced while rooms are in use, and
// counts for what is asked from then on. Safe for concurrent use.
type Live struct{ rooms atomic.Pointer[Rooms] }

// NewLive returns a Live with a policy to begin with.
func NewLive(p *Policy) *Live {
	l := &Live{}
	l.Set(p)
	return l
}

// Set replaces the policy.
func (l *Live) Set(p *Policy) { l.rooms.Store(p.Rooms) }

// Lookup returns the rule of a room, nil for an unknown one.
func (l *Live) Lookup(room string) *Room { return l.rooms.Load().Lookup(room) }
