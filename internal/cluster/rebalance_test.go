package cluster

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func TestHowManyConnectionsAreTooMany(t *testing.T) {
	cfg := RebalanceConfig{Enabled: true, Threshold: 0.15, Rate: 50, Min: 100}
	i := func(connections int, change ...func(*Instance)) Instance {
		one := Instance{State: Ready, Connections: connections, Capacity: 10_000}
		for _, f := range change {
			f(&one)
		}
		return one
	}
	state := func(s State) func(*Instance) { return func(i *Instance) { i.State = s } }
	leaving := func(n int) func(*Instance) { return func(i *Instance) { i.Leaving = n } }
	capacity := func(n int) func(*Instance) { return func(i *Instance) { i.Capacity = n } }
	for _, c := range []struct {
		name   string
		fleet  []Instance // the first decides
		active bool
		want   int
	}{
		{"alone", []Instance{i(6000)}, false, 0},
		{"all of them, to two that came", []Instance{i(6000), i(0), i(0)}, false, 3900},
		{"one that came", []Instance{i(0), i(6000), i(0)}, false, 0},
		{"level", []Instance{i(2000), i(2000), i(2000)}, false, 0},
		{"within the threshold", []Instance{i(2290), i(1850), i(1860)}, false, 0},
		{"beyond it", []Instance{i(2400), i(1800), i(1800)}, false, 300},
		{"at it already, within the threshold", []Instance{i(2290), i(1850), i(1860)}, true, 190},
		{"at it already, nearly level", []Instance{i(2090), i(1950), i(1960)}, true, 0},
		{"too few to matter", []Instance{i(99), i(0)}, false, 0},
		{"one that came to many gets its part of each", []Instance{i(1000), i(1000), i(1000), i(1000), i(0)}, false, 190},
		{"one that carries as many as it should gives none", []Instance{i(900), i(1000), i(1000), i(1000), i(600)}, false, 0},
		{"a larger one should carry more", []Instance{i(4000, capacity(40_000)), i(1000), i(1000)}, false, 0},
		{"while it drains", []Instance{i(6000, state(Draining)), i(0)}, false, 0},
		{"while most others drain", []Instance{i(6000), i(0), i(0, state(Draining)), i(0, state(Draining))}, false, 0},
		{"while one other drains", []Instance{i(6000), i(0), i(0), i(0, state(Draining))}, false, 3900},
		{"the others are full", []Instance{i(6000), i(0, state(Full)), i(0, state(Full))}, false, 0},
		{"the only other with room", []Instance{i(6000), i(0), i(0, state(Full))}, false, 2000},
		{"a full one hands off", []Instance{i(6000, state(Full)), i(0), i(0)}, false, 3900},
		{"others are on their way", []Instance{i(2400), i(3600, leaving(1200)), i(0)}, false, 0},
		{"its own are on their way", []Instance{i(3600, leaving(1200)), i(600), i(600)}, true, 1920},
		{"nobody has a capacity", []Instance{i(6000, capacity(0)), i(0, capacity(0))}, false, 0},
	} {
		if got := excess(c.fleet[0], c.fleet, cfg, c.active); got != c.want {
			t.Errorf("%s: %d", c.name, got)
		}
	}
}

// simulated is a fleet that exists in the test's time alone. Its instances
// know each other as of their last heartbeats.
type simulated struct {
	rng      *rand.Rand
	cfg      RebalanceConfig
	every    time.Duration
	now      time.Time
	nodes    []*simNode
	coming   []arrival
	directed bool // clients are told a URL; else chance decides
	filling  int  // clients that come to each instance in a tick
	bySecond map[int]int
	moves    int
}

type simNode struct {
	inst    Instance // as of the last heartbeat
	actual  int
	phase   time.Duration
	control control
	due     int // to hand off until the next look
	perTick float64
	credit  float64
	told    []told
}

type arrival struct {
	at time.Time
	to int
}

const simTick = 100 * time.Millisecond

func (s *simulated) add(connections int) {
	n := &simNode{actual: connections, control: control{cfg: s.cfg}, phase: time.Duration(s.rng.Int64N(int64(s.every)))}
	n.inst = Instance{ID: strconv.Itoa(len(s.nodes)), State: Ready, Connections: connections, Capacity: 100_000}
	s.nodes = append(s.nodes, n)
}

func (s *simulated) view(self *simNode) (Instance, []Instance) {
	var all []Instance
	own := self.inst
	own.Connections = self.actual
	for _, n := range s.nodes {
		if n == self {
			all = append(all, own)
		} else {
			all = append(all, n.inst)
		}
	}
	return own, all
}

func (n *simNode) leaving(now time.Time, every time.Duration) (sum int) {
	for _, t := range n.told {
		if now.Sub(t.at) < restTime+every {
			sum += t.n
		}
	}
	return sum
}

func (s *simulated) run(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); s.now = s.now.Add(simTick) {
		s.coming = slices.DeleteFunc(s.coming, func(a arrival) bool {
			if a.at.After(s.now) {
				return false
			}
			s.nodes[a.to].actual++
			return true
		})
		for i, n := range s.nodes {
			n.actual += s.filling
			if n.phase -= simTick; n.phase <= 0 { // a heartbeat, and a look
				n.phase += s.every
				n.inst.Connections, n.inst.Leaving = n.actual, n.leaving(s.now, s.every)
				own, all := s.view(n)
				n.due = n.control.next(own, all, s.now, s.every)
				n.perTick = float64(n.due) / float64(s.every/simTick)
			}
			s.release(i, n)
		}
	}
}

// release hands off what is due in a tick.
func (s *simulated) release(i int, n *simNode) {
	n.credit += n.perTick
	k := min(int(n.credit), n.due, n.actual)
	if k <= 0 {
		return
	}
	n.credit -= float64(k)
	n.due -= k
	n.actual -= k
	n.told = append(n.told, told{s.now, k})
	s.bySecond[i<<32|int(s.now.Unix())] += k
	s.moves += k
	for range k {
		to := s.rng.IntN(len(s.nodes))
		if s.directed {
			to = s.emptiest(n)
		}
		s.coming = append(s.coming, arrival{s.now.Add(time.Duration(s.rng.Int64N(int64(1500 * time.Millisecond)))), to})
	}
}

// emptiest is where a placement sends a client: it counts those on their way.
func (s *simulated) emptiest(from *simNode) int {
	load := make([]int, len(s.nodes))
	for _, a := range s.coming {
		load[a.to]++
	}
	best := -1
	for i, n := range s.nodes {
		load[i] += n.actual
		if n != from && (best < 0 || load[i] < load[best]) {
			best = i
		}
	}
	return best
}

// spread is how far the farthest is from the mean, as a part of that.
func (s *simulated) spread() float64 {
	total := 0
	for _, n := range s.nodes {
		total += n.actual
	}
	mean := float64(total) / float64(len(s.nodes))
	far := slices.MaxFunc(s.nodes, func(a, b *simNode) int {
		return cmp.Compare(max(float64(a.actual)-mean, mean-float64(a.actual)), max(float64(b.actual)-mean, mean-float64(b.actual)))
	})
	return max(float64(far.actual)-mean, mean-float64(far.actual)) / mean
}

func TestASimulatedFleetLevelsAndStaysAtRest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		before   []int
		come     int // instances that come empty
		directed bool
		rate     int
		most     int // connections told, in all
	}{
		{"one to three, told where to go", []int{6000}, 2, true, 50, 3950},
		{"one to three, quickly", []int{6000}, 2, true, 1000, 3950},
		{"one to three by chance", []int{6000}, 2, false, 50, 7000},
		{"ten to eleven", []int{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000}, 1, true, 50, 1000},
		{"ten to eleven, quickly", []int{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000}, 1, true, 1000, 1000},
		{"two that carry too much", []int{6000, 6000}, 2, true, 200, 6200},
		{"two that carry too much, by chance", []int{6000, 6000}, 2, false, 200, 14_000},
		{"three that are level", []int{2000, 2100, 1900}, 0, true, 50, 0},
		{"three of chance", []int{500, 545, 460}, 0, false, 50, 0},
	} {
		for seed := range uint64(3) {
			cfg := RebalanceConfig{Enabled: true, Threshold: 0.15, Rate: c.rate, Min: 100, Settle: 10 * time.Second}
			s := &simulated{rng: rand.New(rand.NewPCG(seed, 1)), cfg: cfg, every: 2500 * time.Millisecond, now: time.Unix(1000, 0), directed: c.directed, bySecond: map[int]int{}}
			for _, n := range c.before {
				s.add(n)
			}
			for range c.come {
				s.add(0)
			}
			s.run(5 * time.Minute)
			if far := s.spread(); far > 0.15 {
				t.Errorf("%s, seed %d: %.0f %% from the mean", c.name, seed, 100*far)
			}
			if s.moves > c.most || c.come > 0 && s.moves == 0 {
				t.Errorf("%s, seed %d: %d connections were told to go", c.name, seed, s.moves)
			}
			for _, n := range s.bySecond {
				if n > c.rate+c.rate/10+1 {
					t.Errorf("%s, seed %d: %d in a second", c.name, seed, n)
				}
			}
			moves := s.moves
			if s.run(2 * time.Minute); s.moves != moves {
				t.Errorf("%s, seed %d: %d more were told to go, after rest", c.name, seed, s.moves-moves)
			}
		}
	}
}

func TestAFleetThatFillsUpEvenlyHandsNobodyOff(t *testing.T) {
	t.Parallel()
	cfg := RebalanceConfig{Enabled: true, Threshold: 0.15, Rate: 50, Min: 100, Settle: 10 * time.Second}
	for seed := range uint64(20) {
		s := &simulated{rng: rand.New(rand.NewPCG(seed, 1)), cfg: cfg, every: 2500 * time.Millisecond, now: time.Unix(1000, 0), bySecond: map[int]int{}}
		for range 3 {
			s.add(0)
		}
		s.filling = 30 // as when all clients of a fleet come back
		s.run(20 * time.Second)
		s.filling = 0
		if s.run(time.Minute); s.moves != 0 {
			t.Errorf("seed %d: %d connections were told to go", seed, s.moves)
		}
	}
}

func TestARoundBeginsAtTheSecondLookAndIsFollowedByARest(t *testing.T) {
	cfg := RebalanceConfig{Enabled: true, Threshold: 0.15, Rate: 100, Min: 100, Settle: 10 * time.Second}
	c := control{cfg: cfg}
	now := time.Unix(0, 0)
	fleet := func(n int) (Instance, []Instance) {
		self := Instance{State: Ready, Connections: n, Capacity: 10_000}
		return self, []Instance{self, {State: Ready, Connections: 1000, Capacity: 10_000}}
	}
	look := func(n int) int {
		now = now.Add(time.Second)
		self, all := fleet(n)
		return c.next(self, all, now, time.Second)
	}
	// What has come just now does not count: the others have not told of theirs.
	if look(1000) != 0 || look(1600) != 0 || look(1600) != 0 || look(1600) != 0 {
		t.Fatal("handed off at the first look")
	}
	for n, want := range []int{100, 100, 35} { // 300 less 5 percent of 1300
		if got := look(1600 - 100*n); got != want {
			t.Fatalf("look %d: %d", n, got)
		}
	}
	for range 10 {
		if n := look(5000); n != 0 || c.active() {
			t.Fatalf("%d during the rest", n)
		}
	}
	if look(5000) != 0 || look(5000) != 100 {
		t.Error("no second round")
	}
	// The rest came by itself, say.
	if look(1000) != 0 || c.active() || look(5000) != 0 {
		t.Error("the round goes on")
	}
}

func TestASmallRateIsKept(t *testing.T) {
	c := control{cfg: RebalanceConfig{Enabled: true, Threshold: 0.15, Rate: 1, Min: 100}}
	self := Instance{State: Ready, Connections: 1000, Capacity: 10_000}
	sum := 0
	for n := range 44 {
		sum += c.next(self, []Instance{self, {State: Ready, Capacity: 10_000}}, time.Unix(0, 0), 250*time.Millisecond)
		if n <= 2 && c.active() { // two looks until they count
			t.Error("begun at the first look")
		}
	}
	if sum != 10 {
		t.Errorf("%d in ten seconds", sum)
	}
}

func TestABalancerHandsOffAtItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := alone(t, Load{Connections: 1000, Capacity: 10_000})
		handed, begun := 0, time.Now()
		other := func(connections int) {
			i := Instance{ID: "b", Incarnation: "b", State: Ready, Connections: connections, Capacity: 10_000}
			r.view.Store(&view{peers: map[string]peer{"b": {i, begun.Add(time.Hour)}}})
		}
		b := NewBalancer(r, func(ctx context.Context, n int, over time.Duration) int {
			if n > int(50*over.Seconds())+1 {
				t.Errorf("%d within %v", n, over)
			}
			sleep(ctx, over)
			handed += n
			r.UseLoad(func() Load { return Load{Connections: 1000 - handed, Capacity: 10_000} })
			other(500 + handed)
			return n
		}, zap.NewNop())
		if b.Status().Enabled {
			t.Error("enabled without a fleet")
		}
		b.Run(t.Context()) // returns at once
		b.status.Enabled = true
		r.heard.Store(true)
		other(500)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		b.Run(ctx)
		s := b.Status()
		if s.Active || s.Remaining != 0 || s.HandedOff != int64(handed) || s.Rounds != 1 || handed != 212 {
			t.Errorf("%d handed off, %+v", handed, s)
		}
		if r.Self().Leaving != 0 {
			t.Errorf("%d are on their way for ever", r.Self().Leaving)
		}
	})
}
