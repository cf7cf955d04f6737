package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/test/chaos/check"
	"github.com/moonx-farm/ws-gateway/test/chaos/link"
)

// nobody is the gateway of a fault that takes no service away.
const nobody = -2

// nemesis does deeds, several at a time, but only one to each thing.
type nemesis struct {
	*run
	rand    *rand.Rand // owned by act
	most    time.Duration
	weights map[string]int // of deeds, instead of their own
	deeds   []deed
	under   sync.WaitGroup // deeds under way
	counts  map[string]int // owned by act
}

// deed is something that the nemesis may do.
type deed struct {
	name   string
	weight int
	// begin draws what is left to chance and takes hold of what the deed is
	// done to. It returns the deed, nil when somebody else has hold of it. The
	// deed undoes what it did, at once when ctx ends.
	begin func(n *nemesis, name string) func(ctx context.Context)
}

func newNemesis(r *run, seed uint64) *nemesis {
	n := &nemesis{run: r, rand: rand.New(rand.NewPCG(seed, 1)), most: 3 * time.Second, counts: map[string]int{}}
	n.deeds = []deed{
		{"SIGKILL of a gateway", 3, (*nemesis).killGateway},
		{"SIGTERM of a gateway", 3, (*nemesis).termGateway},
		{"SIGSTOP of a gateway", 3, (*nemesis).stopGateway},
		{"reset of a link", 3, (*nemesis).resetLink},
		{"black hole on a link", 3, shaping(link.Shape{Silent: [2]bool{true, true}})},
		{"one-way cut to the server", 2, shaping(link.Shape{Silent: [2]bool{true, false}})},
		{"one-way cut to the client", 2, shaping(link.Shape{Silent: [2]bool{false, true}})},
		{"latency of a link", 2, shaping(link.Shape{Delay: 40 * time.Millisecond, Jitter: 200 * time.Millisecond})},
		{"one-byte slices on a link", 2, shaping(link.Shape{Slice: true})},
		{"kill and restart of Redis", 3, (*nemesis).killRedis},
		{"SIGSTOP of Redis", 2, (*nemesis).stopRedis},
		{"FLUSHALL", 2, (*nemesis).flush},
		{"promotion after a replication cut", 3, (*nemesis).promote},
		{"CLIENT KILL TYPE pubsub", 3, (*nemesis).killSubscriptions},
		{"cut of the replication", 1, (*nemesis).cutReplication},
	}
	return n
}

// act does deeds until ctx ends, and returns when all are undone.
func (n *nemesis) act(ctx context.Context) {
	defer n.under.Wait()
	const least = 300 * time.Millisecond
	for sleep(ctx, least+rand.N(n.most-least)) {
		d := n.draw()
		if do := d.begin(n, d.name); do != nil {
			n.counts[d.name]++
			n.under.Go(func() { do(ctx) })
		}
	}
}

func (n *nemesis) draw() deed {
	weight := func(d deed) int {
		if w, ok := n.weights[d.name]; ok {
			return w
		}
		return d.weight
	}
	all := 0
	for _, d := range n.deeds {
		all += weight(d)
	}
	at := n.rand.IntN(all)
	for _, d := range n.deeds {
		if at -= weight(d); at < 0 {
			return d
		}
	}
	return n.deeds[0]
}

// span draws a time.
func (n *nemesis) span(from, to time.Duration) time.Duration {
	return from + time.Duration(n.rand.Int64N(int64(to-from)))
}

// fault writes down what a deed did since start.
func (n *nemesis) fault(name string, gateway int, start time.Duration) {
	n.history.AddFault(check.Fault{Name: name, Gateway: gateway, Start: start, End: n.history.Now()})
}

// hold takes hold of a gateway's process; mortal: one that may end.
func (n *nemesis) hold(mortal bool) *gateway {
	g := n.gateways[n.rand.IntN(len(n.gateways))]
	if mortal && g.n == n.survivor || !g.process.TryLock() {
		return nil
	}
	return g
}

func (n *nemesis) killGateway(name string) func(context.Context) {
	away, g := n.span(200*time.Millisecond, 1500*time.Millisecond), n.hold(true)
	if g == nil {
		return nil
	}
	return func(ctx context.Context) {
		defer g.process.Unlock()
		start := n.history.Now()
		g.kill()
		sleep(ctx, away)
		g.start()
		n.fault(name, g.n, start)
	}
}

func (n *nemesis) termGateway(name string) func(context.Context) {
	away, g := n.span(10*time.Millisecond, time.Second), n.hold(true)
	if g == nil {
		return nil
	}
	return func(ctx context.Context) {
		defer g.process.Unlock()
		start := n.history.Now()
		if wrong := g.term(); wrong != "" {
			n.problem("%s", wrong)
		}
		sleep(ctx, away)
		g.start()
		n.fault(name, g.n, start)
	}
}

func (n *nemesis) stopGateway(name string) func(context.Context) {
	away, g := n.span(300*time.Millisecond, 4*time.Second), n.hold(false)
	if g == nil {
		return nil
	}
	return func(ctx context.Context) {
		defer g.process.Unlock()
		start := n.history.Now()
		g.halt()
		sleep(ctx, away)
		g.resume()
		n.fault(name, g.n, start)
	}
}

// bond is a link of a gateway, held by one deed at a time.
type bond struct {
	*link.Link
	name string
	g    *gateway
	held sync.Mutex
}

// grasp takes hold of a link.
func (n *nemesis) grasp() *bond {
	b := n.bonds[n.rand.IntN(len(n.bonds))]
	if !b.held.TryLock() {
		return nil
	}
	return b
}

func (n *nemesis) resetLink(name string) func(context.Context) {
	b := n.grasp()
	if b == nil {
		return nil
	}
	return func(context.Context) {
		defer b.held.Unlock()
		start := n.history.Now()
		b.Reset()
		n.fault(name+b.name, b.g.n, start)
	}
}

// shaping is a deed that shapes a link for a while.
func shaping(s link.Shape) func(*nemesis, string) func(context.Context) {
	return func(n *nemesis, name string) func(context.Context) {
		away, b := n.span(300*time.Millisecond, 4*time.Second), n.grasp()
		if b == nil {
			return nil
		}
		return func(ctx context.Context) {
			defer b.held.Unlock()
			start := n.history.Now()
			b.Apply(s)
			sleep(ctx, away)
			b.Apply(link.Shape{})
			n.fault(name+b.name, b.g.n, start)
		}
	}
}

// toRedis is a deed for which the servers are held. It returns what the fault
// touches.
func (n *nemesis) toRedis(name string, gateway int, do func(ctx context.Context) error) func(context.Context) {
	if !n.redis.server.TryLock() {
		return nil
	}
	return func(ctx context.Context) {
		defer n.redis.server.Unlock()
		start := n.history.Now()
		if err := do(ctx); err != nil {
			n.problem("%s: %v", name, err)
		}
		n.fault(name, gateway, start)
	}
}

func (n *nemesis) killRedis(name string) func(context.Context) {
	away := n.span(100*time.Millisecond, 2*time.Second)
	return n.toRedis(name, check.All, func(ctx context.Context) error {
		n.redis.now().Kill()
		sleep(ctx, away)
		n.redis.now().Restart()
		return nil
	})
}

func (n *nemesis) stopRedis(name string) func(context.Context) {
	away := n.span(300*time.Millisecond, 3*time.Second)
	return n.toRedis(name, check.All, func(ctx context.Context) error {
		n.redis.now().Stop()
		sleep(ctx, away)
		n.redis.now().Continue()
		return nil
	})
}

func (n *nemesis) flush(name string) func(context.Context) {
	return n.toRedis(name, check.All, func(context.Context) error { return n.redis.flush(n.t.Context(), n.history) })
}

func (n *nemesis) killSubscriptions(name string) func(context.Context) {
	return n.toRedis(name, check.All, func(context.Context) error {
		return n.redis.direct(n.redis.now(), func(c *redis.Client) error {
			return c.Do(n.t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err()
		})
	})
}

func (n *nemesis) cutReplication(name string) func(context.Context) {
	away := n.span(300*time.Millisecond, 3*time.Second)
	return n.toRedis(name, nobody, func(ctx context.Context) error {
		n.redis.replication.Apply(link.Shape{Silent: [2]bool{true, true}})
		sleep(ctx, away)
		n.redis.replication.Apply(link.Shape{})
		return nil
	})
}

// promote cuts the replica off, lets the master go on for a while, and then
// promotes the replica. One that does not follow is left alone: it may have
// nothing at all.
func (n *nemesis) promote(name string) func(context.Context) {
	apart := n.span(300*time.Millisecond, 1500*time.Millisecond)
	pauses := make([]time.Duration, len(n.gateways))
	if n.rand.IntN(2) == 0 {
		for i := range pauses {
			pauses[i] = n.span(0, 200*time.Millisecond)
		}
	}
	order := n.rand.Perm(len(n.gateways))
	return n.toRedis(name, check.All, func(ctx context.Context) error {
		if !n.redis.following(n.t.Context()) {
			return nil
		}
		n.redis.replication.Apply(link.Shape{Silent: [2]bool{true, true}})
		sleep(ctx, apart)
		links := make([]*link.Link, len(order))
		for i, g := range order {
			links[i] = n.gateways[g].redis
		}
		next := 0
		if err := n.redis.promote(n.t.Context(), n.history, links, func() bool { next++; return sleep(ctx, pauses[next-1]) }); err != nil {
			return fmt.Errorf("after a cut of %v: %w", apart, err)
		}
		return nil
	})
}
