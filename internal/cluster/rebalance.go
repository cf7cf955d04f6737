package cluster

// The decision to hand connections off is made by each instance for itself,
// from the same view. An instance's share is the fleet's connections by its part
// of the capacity. Somebody more than the threshold from its share, above or
// below, is the reason to begin; a third of the threshold is where it ends, so
// that what was levelled is not levelled again.

// calmPart is the part of the threshold at which a hand-off ends.
const calmPart = 3

// fleetLoad is what a decision is made from.
type fleetLoad struct {
	members  []Instance // that do not drain
	draining int
	perUnit  float64 // connections per capacity, on average
}

// loadOf adds up a fleet's connections, perhaps with those on their way from one
// instance to another.
func loadOf(all []Instance, onTheWay bool) fleetLoad {
	var f fleetLoad
	connections, capacity := 0, 0
	for _, i := range all {
		if i.State == Draining {
			f.draining++
			continue
		}
		f.members = append(f.members, i)
		connections += i.Connections
		capacity += i.Capacity
		if onTheWay {
			connections += i.Leaving
		}
	}
	if capacity > 0 {
		f.perUnit = float64(connections) / float64(capacity)
	}
	return f
}

// share is how many connections an instance should carry.
func (f fleetLoad) share(i Instance) float64 { return f.perUnit * float64(i.Capacity) }

// uneven tells whether somebody is more than threshold from its share.
func (f fleetLoad) uneven(threshold float64) bool {
	for _, i := range f.members {
		if c, share := float64(i.Connections), f.share(i); c > share*(1+threshold) || c < share*(1-threshold) && i.State == Ready {
			return true
		}
	}
	return false
}

// sums adds up what the others lack to come within calm of their shares, what
// they could take, and what those who carry more than their share carry too
// much.
func (f fleetLoad) sums(calm float64) (lack, room, surplus float64) {
	for _, i := range f.members {
		c, share := float64(i.Connections), f.share(i)
		surplus += max(0, c-share)
		if i.State == Ready {
			lack += max(0, share*(1-calm)-c)
			room += max(0, share-c)
		}
	}
	return lack, room, surplus
}

// excess is how many connections self should hand off now, 0 for none. active
// says that it is at it already. It is never so many that self would carry less
// than its share, nor more than its part of what the others have room for.
//
// How many are on their way is only estimated, from above. Before a round they
// count, or those that another instance hands off would be missed, and too many
// handed off; within one they do not, or it would end too early.
func excess(self Instance, all []Instance, cfg RebalanceConfig, active bool) int {
	f := loadOf(all, !active)
	calm := cfg.Threshold / calmPart
	within := cfg.Threshold
	if active {
		within = calm
	}
	switch {
	case self.State == Draining || self.Connections < cfg.Min || len(f.members) < 2:
		return 0
	case 2*f.draining > len(all)-1: // most of the others: where would they go
		return 0
	case !f.uneven(within):
		return 0
	}
	own := float64(self.Connections) - f.share(self)
	lack, room, surplus := f.sums(calm)
	if own <= 0 || surplus <= 0 {
		return 0
	}
	part := min(own/surplus, 1)
	wanted := max(own-f.share(self)*calm, min(own, lack*part))
	return max(0, int(min(wanted, room*part)))
}
