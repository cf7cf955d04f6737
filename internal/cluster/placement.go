package cluster

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Placement picks instances for clients. Between two heartbeats of an instance
// it remembers how many it has sent there, so that they do not all go to the one
// that was the emptiest. Safe for concurrent use.
type Placement struct {
	registry *Registry // immutable

	mu   sync.Mutex
	sent map[string]sent // guarded by mu; by incarnation
}

// sent counts the clients sent to an instance that may not be among its
// connections yet.
type sent struct {
	heartbeat     time.Time // of the instance, after which since counts
	before, since int       // sent before and since that heartbeat
}

// NewPlacement makes a placement over what a registry knows.
func NewPlacement(r *Registry) *Placement {
	return &Placement{registry: r, sent: map[string]sent{}}
}

// Elsewhere is the URL of another instance's WebSocket for a client that is
// handed off, "" when none advertises one.
func (p *Placement) Elsewhere() string {
	others := advertised(p.registry.Others())
	for n := range others {
		// The numbers of connections are levelled, whatever else they carry.
		others[n].CPU, others[n].Memory = 0, 0
	}
	best, ok := p.place(others, "")
	if !ok {
		return ""
	}
	return best.URL + webSocketPath
}

// webSocketPath is what stands behind the base of an instance's URL.
const webSocketPath = "/ws"

// advertised keeps those that clients can be sent to.
func advertised(all []Instance) []Instance {
	out := all[:0]
	for _, i := range all {
		if i.URL != "" {
			out = append(out, i)
		}
	}
	return out
}

// place picks one of the instances and notes that a client was sent there.
func (p *Placement) place(all []Instance, zone string) (Instance, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(all)
	for n := range all {
		s := p.sent[all[n].Incarnation]
		all[n].Connections += s.before + s.since
	}
	best, ok := Optimal(all, zone, rand.IntN)
	if ok {
		s := p.sent[best.Incarnation]
		s.since++
		p.sent[best.Incarnation] = s
	}
	return best, ok
}

// forget drops what instances have told of since. Who was sent just before a
// heartbeat may come after it, so a client counts for two. Called with mu held.
func (p *Placement) forget(all []Instance) {
	next := make(map[string]sent, len(all))
	for _, i := range all {
		s := p.sent[i.Incarnation]
		if !s.heartbeat.Equal(i.Heartbeat) {
			s = sent{heartbeat: i.Heartbeat, before: s.since}
		}
		next[i.Incarnation] = s
	}
	p.sent = next
}
