package router

import (
	"context"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
)

const (
	// probeLead is how long before a connection's end the verifier's service
	// is asked whether it is there, so that the end need not wait.
	probeLead = time.Second
	// probeEvery is how long such an answer is good for others, too.
	probeEvery = 2 * time.Second
)

// probe finds out whether the verifier's service is there, for clients that
// have no other token because it is not. Without traffic nobody else would
// notice. One question at a time.
type probe struct {
	// Immutable.
	prober  auth.Prober // nil: there is nothing to ask
	timeout time.Duration
	spawn   func(func()) bool
	ctx     context.Context

	mu      sync.Mutex
	running bool      // guarded by mu
	asked   time.Time // guarded by mu
	down    bool      // guarded by mu
}

func newProbe(r *Router) *probe {
	p := &probe{timeout: r.cfg.AuthDeadline, spawn: r.spawn, ctx: r.ctx}
	if r.cfg.Life.OutageGrace > 0 {
		p.prober, _ = r.verifier.(auth.Prober)
	}
	return p
}

// start asks, unless somebody has a moment ago. It does not wait.
func (p *probe) start() {
	if p.prober == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running || time.Since(p.asked) < probeEvery {
		return
	}
	p.asked, p.running = time.Now(), true
	if !p.spawn(p.ask) {
		p.running = false
	}
}

func (p *probe) ask() {
	ctx, cancel := context.WithTimeout(p.ctx, p.timeout)
	defer cancel()
	err := p.prober.Probe(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.down = false, err != nil
}

// state tells whether the answer is awaited, and what the last one was.
func (p *probe) state() (running, down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running, p.down
}
