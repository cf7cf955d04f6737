package fleet_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
)

func TestConnectionsOfAUserComeInPagesFromAllInstances(t *testing.T) {
	r := start(t, "one", "two", "three")
	var want []string
	for n := range 11 {
		want = append(want, r.all[n%2].join("ann").id())
	}
	r.all[2].join("bob")
	slices.Sort(want)
	for _, limit := range []int{1, 3, 5, 6, 10, 11, 100} {
		var got []string
		p := fleet.Page{Limit: limit}
		for more := true; more; {
			page := r.all[2].Connections(t.Context(), "ann", p)
			if page.Count != 11 || len(page.Connections) > limit || page.Missing != nil {
				t.Fatalf("limit %d: %+v", limit, page)
			}
			for _, c := range page.Connections {
				got = append(got, c.Connection)
			}
			if more = page.More; more {
				p.After = got[len(got)-1]
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %q, want %q", limit, got, want)
		}
	}
	r.away["two"] = true
	page := r.all[2].Connections(t.Context(), "ann", fleet.Page{Limit: 100})
	if page.Count != 6 || !slices.Equal(page.Missing, []string{"two"}) {
		t.Errorf("with one away: %+v", page)
	}
	if page := r.all[2].Connections(t.Context(), "stranger", fleet.Page{Limit: 1}); page.Count != 0 || page.Connections == nil || page.More {
		t.Errorf("of nobody: %+v", page)
	}
}

func TestRoomsOfAllInstancesComeInPages(t *testing.T) {
	r := start(t, "one", "two")
	want := map[string]int{}
	join := func(at int, user string, rooms ...string) {
		r.all[at].join(user, rooms...)
		for _, room := range append(rooms, "user:"+user) {
			want[room]++
		}
	}
	for n := range 20 {
		join(n%2, fmt.Sprintf("u%02d", n), fmt.Sprintf("many:%02d", n), fmt.Sprintf("many:%02d", 2*n), "lobby")
	}
	want["many:00"]-- // it is both of the first's rooms
	for _, limit := range []int{1, 2, 7, 1000} {
		got := map[string]int{}
		p := fleet.Page{Limit: limit}
		last := ""
		for more := true; more; {
			page := r.all[0].Rooms(t.Context(), "", p)
			if len(page.Rooms) > limit || page.Missing != nil {
				t.Fatalf("%+v", page)
			}
			for _, room := range page.Rooms {
				if room.Room <= last {
					t.Fatalf("%s comes after %s", room.Room, last)
				}
				last = room.Room
				got[last] = room.Connections
			}
			p.After, more = last, page.More
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("limit %d: %v, want %v", limit, got, want)
		}
	}
	r.all[0].blind = errors.New("Redis is away")
	page := r.all[0].Rooms(t.Context(), "lobby", fleet.Page{Limit: 10})
	if !slices.Equal(page.Missing, []string{"two"}) {
		t.Errorf("without the directory: %+v", page)
	}
}

func TestADrainReachesTheInstanceOfTheName(t *testing.T) {
	r := start(t, "one", "two", "two")
	for name, want := range map[string]int{"one": 1, "two": 2} {
		if n, err := r.all[0].Drain(t.Context(), name); n != want || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	r.all[0].draining, r.all[1].draining = false, false
	if _, err := r.all[0].Drain(t.Context(), "three"); !errors.Is(err, fleet.ErrNoInstance) || r.all[0].draining || r.all[1].draining {
		t.Errorf("one that is not there: %v", err)
	}
	r.away["two"] = true
	if _, err := r.all[0].Drain(t.Context(), "two"); err == nil || errors.Is(err, fleet.ErrNoInstance) {
		t.Errorf("one that does not answer: %v", err)
	}
	if n, err := r.all[0].Drain(t.Context(), "one"); n != 1 || err != nil {
		t.Errorf("this one, while another does not answer: %d, %v", n, err)
	}
}

func TestTheBalanceAddsUpWhatTheInstancesTell(t *testing.T) {
	r := start(t, "one", "two", "three")
	r.all[0].join("ann")
	r.all[0].join("bob")
	r.all[1].join("zoe")
	r.all[2].draining = true
	r.all[0].status = cluster.RebalanceStatus{Enabled: true, Active: true, Remaining: 3, HandedOff: 10}
	r.all[1].status = cluster.RebalanceStatus{Enabled: true, HandedOff: 5}
	b := r.all[1].Balance(t.Context())
	if b.Connections != 3 || b.Capacity != 200 || b.Load != 3.0/200 || b.Mean != 1.5 || b.Optimal != "two" || b.States[cluster.Draining] != 1 ||
		b.Spread < 0.33 || b.Spread > 0.34 || b.Missing != nil {
		t.Errorf("%+v", b)
	}
	if !b.Rebalance.Enabled || !slices.Equal(b.Rebalance.Active, []string{"one"}) || b.Rebalance.Remaining != 3 || b.Rebalance.HandedOff != 15 {
		t.Errorf("%+v", b.Rebalance)
	}
	r.away["one"] = true
	if b := r.all[1].Balance(t.Context()); !slices.Equal(b.Missing, []string{"one"}) || b.Connections != 3 {
		t.Errorf("with one away: %+v", b)
	}
}
