package cluster

import (
	"math/rand/v2"
	"testing"
	"time"
)

func first(int) int  { return 0 }
func last(n int) int { return n - 1 }

func TestWhichInstanceIsOptimal(t *testing.T) {
	i := func(id string, connections int, change ...func(*Instance)) Instance {
		one := Instance{ID: id, Incarnation: id, State: Ready, Connections: connections, Capacity: 1000}
		for _, f := range change {
			f(&one)
		}
		return one
	}
	state := func(s State) func(*Instance) { return func(i *Instance) { i.State = s } }
	zone := func(z string) func(*Instance) { return func(i *Instance) { i.Zone = z } }
	cpu := func(c float64) func(*Instance) { return func(i *Instance) { i.CPU = c } }
	memory := func(m int64) func(*Instance) { return func(i *Instance) { i.Memory, i.MemoryLimit = m, 100 } }
	capacity := func(n int) func(*Instance) { return func(i *Instance) { i.Capacity = n } }
	for _, c := range []struct {
		name string
		all  []Instance
		zone string
		pick func(int) int
		want string // "" for none
	}{
		{"nobody", nil, "", first, ""},
		{"one", []Instance{i("a", 10)}, "", first, "a"},
		{"the one with fewer connections", []Instance{i("a", 10), i("b", 5)}, "", last, "b"},
		{"chance among those that are equal", []Instance{i("a", 10), i("b", 10)}, "", last, "b"},
		{"chance among those that are nearly equal", []Instance{i("a", 100), i("b", 103)}, "", last, "b"},
		{"chance among idle ones", []Instance{i("a", 0), i("b", 0), i("c", 0)}, "", last, "c"},
		{"the larger of two with as many", []Instance{i("a", 10), i("b", 10, capacity(4000))}, "", last, "b"},
		{"the idler of two with as many", []Instance{i("a", 10, cpu(0.9)), i("b", 10, cpu(0.2))}, "", last, "b"},
		{"the one with more memory left", []Instance{i("a", 10, memory(90)), i("b", 10, memory(20))}, "", last, "b"},
		{"not one that drains", []Instance{i("a", 10), i("b", 0, state(Draining))}, "", last, "a"},
		{"not one that is full", []Instance{i("a", 10), i("b", 0, state(Full))}, "", last, "a"},
		{"not one whose last place was given away", []Instance{i("a", 10), i("b", 1, capacity(1))}, "", last, "a"},
		{"nobody is ready", []Instance{i("a", 10, state(Full)), i("b", 0, state(Draining))}, "", last, ""},
		{"the own zone", []Instance{i("a", 11, zone("x")), i("b", 9, zone("y"))}, "x", last, "a"},
		{"not the own zone at any price", []Instance{i("a", 90, zone("x")), i("b", 9, zone("y"))}, "x", last, "b"},
		{"another zone when the own is full", []Instance{i("a", 11, zone("x"), state(Full)), i("b", 9, zone("y"))}, "x", last, "b"},
		{"any zone for one without", []Instance{i("a", 11, zone("x")), i("b", 5, zone("y"))}, "", last, "b"},
	} {
		got, ok := Optimal(c.all, c.zone, c.pick)
		if ok != (c.want != "") || got.ID != c.want {
			t.Errorf("%s: %q, %v", c.name, got.ID, ok)
		}
	}
}

func TestClientsThatComeTogetherAreSpreadBetweenTwoHeartbeats(t *testing.T) {
	p := NewPlacement(alone(t, Load{}))
	beat := time.Now()
	fleet := func() []Instance {
		return []Instance{
			{ID: "a", Incarnation: "a", State: Ready, Connections: 1000, Capacity: 10_000, Heartbeat: beat},
			{ID: "b", Incarnation: "b", State: Ready, Connections: 0, Capacity: 10_000, Heartbeat: beat},
			{ID: "c", Incarnation: "c", State: Ready, Connections: 0, Capacity: 10_000, Heartbeat: beat},
		}
	}
	got := map[string]int{"a": 1000}
	for range 3500 {
		one, ok := p.place(fleet(), "")
		if !ok {
			t.Fatal("nobody takes a client")
		}
		got[one.ID]++
	}
	for id, n := range got {
		if n < 1350 || n > 1650 {
			t.Errorf("%s has %d of 4500", id, n)
		}
	}
	// The next heartbeat may not count them yet, the one after it does.
	for range 2 {
		if p.sent["b"].before+p.sent["b"].since == 0 {
			t.Error("those on their way are forgotten")
		}
		beat = beat.Add(time.Second)
		p.mu.Lock()
		p.forget(fleet())
		p.mu.Unlock()
	}
	if s := p.sent["b"]; s.before+s.since != 0 {
		t.Errorf("remembered for ever: %+v", s)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forget(nil); len(p.sent) != 0 {
		t.Error("instances that have gone are remembered")
	}
}

func FuzzOptimalPicksOneThatTakesConnections(f *testing.F) {
	f.Add(uint64(1), uint8(3), "z1")
	f.Fuzz(func(t *testing.T, seed uint64, n uint8, zone string) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var all []Instance
		free := 0
		for range n {
			i := Instance{
				State: []State{Ready, Full, Draining}[rng.IntN(3)], Connections: rng.IntN(10), Capacity: rng.IntN(10),
				CPU: rng.Float64(), Memory: rng.Int64N(10), MemoryLimit: rng.Int64N(3), Zone: []string{"", "z1", "z2"}[rng.IntN(3)],
			}
			if i.State == Ready && i.Connections < i.Capacity {
				free++
			}
			all = append(all, i)
		}
		got, ok := Optimal(all, zone, rng.IntN)
		if ok != (free > 0) || ok && (got.State != Ready || got.Connections >= got.Capacity) {
			t.Errorf("%+v, %v of %+v", got, ok, all)
		}
	})
}
