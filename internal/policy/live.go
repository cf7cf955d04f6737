package policy

import (
	"sync/atomic"
	"time"
)

// Live is the policy in force; it can be replaced while rooms are in use, and
// counts for what is asked from then on. Safe for concurrent use.
type Live struct {
	rooms  atomic.Pointer[Rooms]
	routes atomic.Pointer[Routes]
	force  atomic.Pointer[InForce]
}

// InForce tells of the policy in force.
type InForce struct {
	Source string    // where it is from, for operators
	Text   string    // its YAML
	Since  time.Time // when it was put in force
}

// NewLive returns a Live with a policy to begin with.
func NewLive(p *Policy) *Live {
	l := &Live{}
	l.Set(p)
	return l
}

// Set puts a policy in force, for every room and route at its next look. Safe
// for concurrent use.
func (l *Live) Set(p *Policy) {
	l.rooms.Store(p.Rooms)
	l.routes.Store(p.Routes)
	l.force.Store(&InForce{p.Source, p.Text, time.Now()})
}

// InForce tells of the policy in force.
func (l *Live) InForce() InForce { return *l.force.Load() }

// Lookup returns the rule of a room, nil for an unknown one.
func (l *Live) Lookup(room string) *Room { return l.rooms.Load().Lookup(room) }

// Route returns the route of an event, nil without one.
func (l *Live) Route(event string) *Route { return l.routes.Load().Lookup(event) }

// Routes returns the routes in force.
func (l *Live) Routes() *Routes { return l.routes.Load() }
