package fleet

import (
	"context"
	"math"
	"slices"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
)

// Rebalancer hands connections of this instance off while it carries more than
// its share.
type Rebalancer interface {
	Status() cluster.RebalanceStatus
}

var _ Rebalancer = (*cluster.Balancer)(nil)

// Balance is how the connections are spread over the instances.
type Balance struct {
	States      map[cluster.State]int // how many instances are in it
	Connections int                   // on all
	Capacity    int                   // of those that are ready
	Load        float64               // connections per capacity of those that are ready; 1 without any
	Mean        float64               // connections of an instance that does not drain
	// Spread is how far the one farthest from its share is from it, as a part
	// of that share. Shares go by capacity; instances that drain have none.
	Spread  float64
	Optimal string // name of the one for the next client; "" when none takes it

	Rebalance Rebalance
	Missing   []string // instances that did not tell of their part in Rebalance
}

// Rebalance is how it stands with handing connections off, on all instances.
type Rebalance struct {
	Enabled   bool     // on one at least
	Active    []string // names of those that hand connections off now
	Remaining int      // connections still to be handed off
	HandedOff int64    // since the instances started
}

// rebalancing is what one instance tells of itself.
type rebalancing struct {
	Instance  string `json:"instance"`
	Enabled   bool   `json:"enabled"`
	Active    bool   `json:"active"`
	Remaining int    `json:"remaining"`
	HandedOff int64  `json:"handedOff"`
}

// Balance tells how the connections are spread.
func (f *Fleet) Balance(ctx context.Context) Balance {
	all := f.Instances()
	b := balanceOf(all)
	zone := ""
	for _, i := range all {
		if i.ID == f.parts.Instance {
			zone = i.Zone
		}
	}
	if best, ok := cluster.Optimal(all, zone, func(int) int { return 0 }); ok {
		b.Optimal = best.ID
	}
	h := askOthers[rebalancing](ctx, f, kindRebalance, struct{}{})
	b.Missing = h.missing
	b.Rebalance.Active = []string{}
	for _, one := range append(h.answers, f.rebalance(ctx, struct{}{})) {
		b.Rebalance.add(one)
	}
	slices.Sort(b.Rebalance.Active)
	return b
}

func (r *Rebalance) add(one rebalancing) {
	r.Enabled = r.Enabled || one.Enabled
	if one.Active {
		r.Active = append(r.Active, one.Instance)
	}
	r.Remaining += one.Remaining
	r.HandedOff += one.HandedOff
}

func (f *Fleet) rebalance(context.Context, struct{}) rebalancing {
	s := f.parts.Rebalancer.Status()
	return rebalancing{f.parts.Instance, s.Enabled, s.Active, s.Remaining, s.HandedOff}
}

// balanceOf adds up what the instances tell.
func balanceOf(all []cluster.Instance) Balance {
	b := Balance{States: map[cluster.State]int{}, Load: 1}
	var ready, staying, room int // connections on those that are ready, and that do not drain; capacity of these
	for _, i := range all {
		b.States[i.State]++
		b.Connections += i.Connections
		if i.State == cluster.Ready {
			ready += i.Connections
			b.Capacity += i.Capacity
		}
		if i.State != cluster.Draining {
			staying += i.Connections
			room += i.Capacity
		}
	}
	if b.Capacity > 0 {
		b.Load = float64(ready) / float64(b.Capacity)
	}
	if n := len(all) - b.States[cluster.Draining]; n > 0 {
		b.Mean = float64(staying) / float64(n)
	}
	if room > 0 {
		b.Spread = spread(all, float64(staying)/float64(room))
	}
	return b
}

// spread is the largest part by which an instance misses its share, where each
// unit of capacity has so many connections.
func spread(all []cluster.Instance, perUnit float64) float64 {
	most := 0.0
	for _, i := range all {
		if share := perUnit * float64(i.Capacity); i.State != cluster.Draining && share > 0 {
			most = max(most, math.Abs(float64(i.Connections)-share)/share)
		}
	}
	return most
}
