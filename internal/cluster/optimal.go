package cluster

import (
	"cmp"
	"slices"
)

// The weights of a load, which sum up to 1, and what counts as equal.
const (
	weightConnections = 0.5
	weightCPU         = 0.3
	weightMemory      = 0.2

	// nearEqual is how much more than the least load is no difference: among
	// those instances chance decides, so that clients that ask different
	// instances at the same moment do not all come to one.
	nearEqual = 0.02
	// zoneMargin is how much more load is worth staying in the zone.
	zoneMargin = 0.15
)

// Optimal picks the instance for the next client, getOptimalInstance of the
// plan: among those that are ready the one with the least weighted load, in the
// given zone ("": none) unless that carries much more. pick chooses one of n
// near equals, 0 to n-1. It returns false when nobody takes a connection.
func Optimal(all []Instance, zone string, pick func(n int) int) (Instance, bool) {
	best := ranked(all, zone)
	if len(best) == 0 {
		return Instance{}, false
	}
	n := 1
	for n < len(best) && best[n].load <= best[0].load+nearEqual {
		n++
	}
	return best[pick(n)].Instance, true
}

// candidate is an instance that takes a connection.
type candidate struct {
	Instance
	// load is 0 to 1 and more, with the margin for those outside the zone.
	load float64
}

// ranked lists the instances that take a connection, best first.
func ranked(all []Instance, zone string) []candidate {
	var out []candidate
	mean := meanShare(all)
	for _, i := range all {
		if !takes(i) {
			continue
		}
		c := candidate{i, i.load(mean)}
		if zone != "" && i.Zone != zone {
			c.load += zoneMargin
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b candidate) int { return cmp.Compare(a.load, b.load) })
	return out
}

// takes tells whether an instance takes one more connection.
func takes(i Instance) bool { return i.State == Ready && i.Connections < i.Capacity }

// load weighs what an instance carries. Its connections count in relation to
// the fleet's mean, which counts as a half: a capacity is a limit, seldom
// reached, and would make all look idle.
func (i Instance) load(mean float64) float64 {
	connections := 0.0
	if mean > 0 {
		connections = min(i.share()/mean, 2) / 2
	}
	memory := 0.0
	if i.MemoryLimit > 0 {
		memory = min(float64(i.Memory)/float64(i.MemoryLimit), 1)
	}
	return weightConnections*connections + weightCPU*i.CPU + weightMemory*memory
}

// meanShare is the part of the capacity that those who take connections use
// together.
func meanShare(all []Instance) float64 {
	var connections, capacity int
	for _, i := range all {
		if takes(i) {
			connections += i.Connections
			capacity += i.Capacity
		}
	}
	if capacity == 0 {
		return 0
	}
	return float64(connections) / float64(capacity)
}
