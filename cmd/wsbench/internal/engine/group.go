//go:build linux

package engine

import (
	"errors"
	"net/netip"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"golang.org/x/sync/errgroup"
)

// Config says what a Group connects to, and how.
type Config struct {
	Targets  []Target     // at least one
	First    bool         // all connections begin at the first target; else they take them in turn
	Sources  []netip.Addr // local IPv4 addresses in turn; none: the kernel's choice
	Begin    int          // number of the first connection for the turns
	Conns    int
	Threads  int
	Ramp     int // new connections per second
	InFlight int // handshakes under way at most
	Clock    Clock
	Gather   time.Duration // a loop that was woken waits so long for more to do; 0: it does not
	Tick     time.Duration // a loop ticks so often at least; 0: every 20 ms
}

func (c *Config) idleTick() time.Duration {
	if c.Tick > 0 {
		return c.Tick
	}
	return idleTick
}

// Target is a server to connect to.
type Target struct {
	Addr    netip.AddrPort
	Opening *frame.Opening
}

// Group is a set of loops. Immutable after New.
type Group struct {
	Loops []*Loop
	done  errgroup.Group
}

// New makes the loops, with one handler each, and starts them. Nothing is
// dialled yet. The caller must Stop the group.
func New(cfg *Config, handler func(id int) Handler) (*Group, error) {
	g := &Group{}
	for id := range cfg.Threads {
		conns := cfg.Conns / cfg.Threads
		if id < cfg.Conns%cfg.Threads {
			conns++
		}
		l, err := newLoop(cfg, id, conns, handler(id))
		if err != nil {
			return nil, errors.Join(err, g.Stop())
		}
		g.Loops = append(g.Loops, l)
		if a, ok := l.h.(interface{ Attach(l *Loop) }); ok {
			a.Attach(l)
		}
		g.done.Go(l.run)
	}
	return g, nil
}

// Dial lets the loops dial all their connections, paced by the ramp.
func (g *Group) Dial() {
	for _, l := range g.Loops {
		l.Post(func() { l.dial.until = len(l.conns) })
	}
}

// Total sums the counters.
func (g *Group) Total() Total {
	var t Total
	for _, l := range g.Loops {
		t.add(&l.Counters)
	}
	return t
}

// CloseAll begins the closing handshake on every connection and waits until
// all have ended, at most for the given time; the rest is cut by Stop.
func (g *Group) CloseAll(within time.Duration) {
	for _, l := range g.Loops {
		l.Post(func() {
			l.dial.until = 0
			for i := range l.conns {
				l.Close(&l.conns[i], 1000)
			}
		})
	}
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if t := g.Total(); t.Open == 0 && t.Pending == 0 {
			return
		}
	}
}

// Stop ends all loops, cuts what is still connected, and waits for them.
func (g *Group) Stop() error {
	for _, l := range g.Loops {
		l.end()
	}
	return g.done.Wait()
}
