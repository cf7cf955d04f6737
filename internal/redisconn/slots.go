package redisconn

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// How often the table of slots is asked for.
const (
	slotsEvery  = 5 * time.Second        // while all is well
	slotsAway   = 500 * time.Millisecond // while a shard is missing
	slotsNoMore = 100 * time.Millisecond // than once in this time, whoever asks
	slotsAsked  = 3                      // nodes at once
)

// slotKeeper keeps the table of a cluster's slots, and a goroutine for each
// shard. Its fields are owned by run, but for wake.
type slotKeeper struct {
	m       *Manager
	wake    chan struct{}                 // of capacity 1: ask now
	nodes   map[string]*redis.Client      // by address: those that were asked
	known   []string                      // addresses of all nodes in the last answer
	watched map[*Shard]context.CancelFunc // of the shards' goroutines
	silent  bool                          // nobody answered the last time
}

func newSlotKeeper(m *Manager) *slotKeeper {
	return &slotKeeper{
		m: m, wake: make(chan struct{}, 1), nodes: map[string]*redis.Client{}, watched: map[*Shard]context.CancelFunc{},
	}
}

// poke asks for a new table soon; it never blocks.
func (k *slotKeeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run keeps the table until the manager closes. The shards' goroutines end with
// the manager's context too.
func (k *slotKeeper) run() {
	defer func() {
		for _, node := range k.nodes {
			_ = node.Close()
		}
	}()
	for {
		k.refresh()
		if !k.rest() {
			return
		}
	}
}

// rest waits until the next table is due, or somebody asks for one.
func (k *slotKeeper) rest() bool {
	pause := slotsEvery
	if !k.m.topology.Load().up() {
		pause = slotsAway
	}
	return pauseFor(k.m.ctx, slotsNoMore, pause, k.wake)
}

// refresh asks a few nodes, and all others when none of them knows better.
func (k *slotKeeper) refresh() {
	candidates := k.candidates()
	few := candidates[:min(slotsAsked, len(candidates))]
	best := k.ask(few)
	if best == nil || !best.ok {
		if other := k.ask(candidates[len(few):]); other.better(best) {
			best = other
		}
	}
	if k.m.ctx.Err() != nil {
		return
	}
	if best == nil {
		if !k.silent {
			k.m.log.Warn("no node of the redis cluster tells its slots", zap.Int("asked", len(candidates)))
		}
		k.silent = true
		return
	}
	k.silent = false
	k.adopt(best)
}

// candidates are the addresses to ask, masters that answer first.
func (k *slotKeeper) candidates() []string {
	var all []string
	add := func(addrs []string) {
		//nolint:gosec // spreads the questions, keeps no secret
		rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
		for _, addr := range addrs {
			if !slices.Contains(all, addr) {
				all = append(all, addr)
			}
		}
	}
	var up []string
	for _, s := range k.m.Shards() {
		if s.Up() {
			up = append(up, s.id)
		}
	}
	add(up)
	add(slices.Clone(k.known))
	add(slices.Clone(k.m.cfg.ClusterAddrs))
	return all
}

// adopt makes a view the topology, begins to watch masters that came, and lets
// those that went.
func (k *slotKeeper) adopt(v *view) {
	old := k.m.topology.Load()
	t := &topology{slots: new([slotCount]*Shard), whole: v.ok, changed: make(chan struct{})}
	came := map[string]*Shard{}
	for slot, addr := range v.slots {
		if addr == "" {
			t.whole = false
			continue
		}
		s := came[addr]
		if s == nil {
			if s = old.shard(addr); s == nil {
				s = newShard(addr, k.m.clients.master(addr, k.m.cfg.PoolSize), len(old.shards) > 0)
			}
			came[addr] = s
		}
		t.slots[slot] = s
	}
	for _, addr := range slices.Sorted(maps.Keys(came)) {
		t.shards = append(t.shards, came[addr])
	}
	k.known = v.nodes
	k.forget()
	if t.same(old) {
		return
	}
	k.m.topology.Store(t)
	close(old.changed)
	k.attendTo(t)
	k.m.tellTopology(len(t.shards), t.whole)
}

// attendTo has a goroutine for each shard of the topology and no other.
func (k *slotKeeper) attendTo(t *topology) {
	for s, stop := range k.watched {
		if !slices.Contains(t.shards, s) {
			stop()
			delete(k.watched, s)
		}
	}
	for _, s := range t.shards {
		if k.watched[s] == nil {
			ctx, stop := context.WithCancel(k.m.ctx)
			k.watched[s] = stop
			k.m.wg.Go(func() { k.m.attend(ctx, s) })
		}
	}
}

// forget closes the clients of nodes that are gone.
func (k *slotKeeper) forget() {
	for addr, node := range k.nodes {
		if !slices.Contains(k.known, addr) && !slices.Contains(k.m.cfg.ClusterAddrs, addr) {
			_ = node.Close()
			delete(k.nodes, addr)
		}
	}
}

// tellTopology tells the ordinary client and the watchers.
func (m *Manager) tellTopology(masters int, whole bool) {
	m.log.Info("slots of the redis cluster", zap.Int("masters", masters), zap.Bool("whole", whole))
	if c, ok := m.client.(*redis.ClusterClient); ok {
		c.ReloadState(m.ctx)
	}
	m.counts.topologies.Add(1)
	for _, w := range m.watchers {
		w.TopologyChanged()
	}
}
