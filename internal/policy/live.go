package policy

import "sync/atomic"

// Live is the policy in force; it can be replaced while rooms are in use, and
// counts for what is asked from then on. Safe for concurrent use.
type Live struct {
	rooms  atomic.Pointer[Rooms]
	routes atomic.Pointer[Routes]
}

// NewLive returns a Live with a policy to begin with.
func NewLive(p *Policy) *Live {
	l := &Live{}
	l.Set(p)
	return l
}

// Set replaces the policy.
func (l *Live) Set(p *Policy) {
	l.rooms.Store(p.Rooms)
	l.routes.Store(p.Routes)
}

// Lookup returns the rule of a room, nil for an unknown one.
func (l *Live) Lookup(room string) *Room { return l.rooms.Load().Lookup(room) }

// Route returns the route of an event, nil without one.
func (l *Live) Route(event string) *Route { return l.routes.Load().Lookup(event) }

// Routes returns the routes in force.
func (l *Live) Routes() *Routes { return l.routes.Load() }
