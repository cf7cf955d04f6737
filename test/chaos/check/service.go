package check

import (
	"math"
	"slices"
	"sort"
	"time"
)

// service is one that a gateway has done: what was asked for at from was there
// at at.
type service struct{ from, at time.Duration }

// first is when something asked for after a time was first served.
func first(list []service, after time.Duration) time.Duration {
	i := sort.Search(len(list), func(i int) bool { return list[i].at >= after })
	for ; i < len(list); i++ {
		if list[i].from >= after {
			return list[i].at
		}
	}
	return math.MaxInt64
}

// recoveries judges how long service takes to be back after each fault: a
// publish asked for after its end is acknowledged by the gateway, and a message
// made after its end arrives through it. Where another fault comes before that,
// the time counts from that one's end alone.
func (c *checker) recoveries() {
	for _, f := range c.rec.Faults {
		for g := range c.rules.Gateways {
			if f.Gateway == All || f.Gateway == g {
				c.recovery(f, g)
			}
		}
	}
}

func (c *checker) recovery(f Fault, g int) {
	back := max(first(c.acked[g], f.End), first(c.received[g], f.End))
	disturbed := slices.ContainsFunc(c.rec.Faults, func(o Fault) bool {
		return (o.Gateway == All || o.Gateway == g) && o != f && o.Start < back && o.End > f.End
	})
	took := back - f.End
	switch {
	case disturbed:
		c.Superseded++
		return
	case back == math.MaxInt64 && c.last()-f.End <= c.rules.Service:
		return // nobody can say
	case back == math.MaxInt64:
		c.fail(Outage, f.End, "gateway %d does not serve again after: %s", g, f.Name)
		return
	case took > c.rules.Service:
		c.fail(Outage, f.End, "gateway %d serves again only %v after: %s", g, took.Round(time.Millisecond), f.Name)
	}
	c.Recoveries++
	if took > c.Longest {
		c.Longest, c.LongestAfter = took, f.Name
	}
}
