package redisconn

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// view is what one node of a cluster says of it. Immutable.
type view struct {
	ok    bool              // the node is in touch with most masters
	epoch uint64            // of the cluster: of two views the later one counts
	slots [slotCount]string // the address of each slot's master; empty: none
	nodes []string          // addresses of masters and replicas
}

// better tells whether a view is to be believed before another; nil is none.
func (v *view) better(other *view) bool {
	switch {
	case v == nil:
		return false
	case other == nil:
		return true
	case v.ok != other.ok:
		return v.ok
	}
	return v.epoch > other.epoch
}

// ask takes the best of what some nodes say, nil when none answers.
func (k *slotKeeper) ask(addrs []string) *view {
	ctx, cancel := context.WithTimeout(k.m.ctx, lookWait/2)
	defer cancel()
	views := make([]*view, len(addrs))
	var wg sync.WaitGroup
	for i, addr := range addrs {
		node := k.nodes[addr]
		if node == nil {
			node = k.m.clients.node(addr, noRetries, probePool)
			k.nodes[addr] = node
		}
		wg.Go(func() { views[i] = viewOf(ctx, node, addr) })
	}
	wg.Wait()
	var best *view
	for _, v := range views {
		if v.better(best) {
			best = v
		}
	}
	return best
}

// viewOf asks one node, nil when it does not answer.
func viewOf(ctx context.Context, node *redis.Client, addr string) *view {
	var (
		info  *redis.StringCmd
		slots *redis.ClusterSlotsCmd
	)
	if _, err := node.Pipelined(ctx, func(p redis.Pipeliner) error {
		info, slots = p.ClusterInfo(ctx), p.ClusterSlots(ctx)
		return nil
	}); err != nil {
		return nil
	}
	v := &view{}
	for line := range strings.Lines(info.Val()) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
		case "cluster_state":
			v.ok = value == "ok"
		case "cluster_current_epoch":
			v.epoch, _ = strconv.ParseUint(value, 10, 64)
		}
	}
	v.take(slots.Val(), addr)
	return v
}

// take enters the slots that a node at asked tells.
func (v *view) take(ranges []redis.ClusterSlot, asked string) {
	seen := map[string]bool{}
	for _, r := range ranges {
		for i, node := range r.Nodes {
			addr := reachable(node.Addr, asked)
			if !seen[addr] {
				seen[addr] = true
				v.nodes = append(v.nodes, addr)
			}
			if i > 0 {
				continue // replicas
			}
			for slot := max(r.Start, 0); slot <= min(r.End, slotCount-1); slot++ {
				v.slots[slot] = addr
			}
		}
	}
}

// reachable is a node's address as seen from here: one that does not know its
// own is where it was asked, and so is one that calls itself local while it
// was asked elsewhere.
func reachable(addr, asked string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	from, _, err := net.SplitHostPort(asked)
	if err != nil {
		return addr
	}
	if host == "" || host == "?" || loopback(host) && !loopback(from) {
		return net.JoinHostPort(from, port)
	}
	return addr
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
