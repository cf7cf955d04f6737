package fleet_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestTheRoomsOfAConnectionAreFoundOnAnyInstance(t *testing.T) {
	r := start(t, "one", "two")
	ann := r.all[1].join("ann", "many:2", "lobby", "many:1")
	if _, err := r.all[1].SendRoom(t.Context(), "lobby", router.Outgoing{Event: "e"}); err != nil {
		t.Fatal(err)
	}
	ann.until("e")
	for at, limit := range []int{3, 100} {
		var got []fleet.Seat
		p := fleet.Page{Limit: limit}
		for more := true; more; {
			page, err := r.all[at].Seats(t.Context(), ann.id(), p)
			if err != nil || page.Count != 4 || len(page.Rooms) > limit {
				t.Fatalf("limit %d: %+v, %v", limit, page, err)
			}
			got = append(got, page.Rooms...)
			if more = page.More; more {
				p.After = got[len(got)-1].Room
			}
		}
		names := make([]string, 0, len(got))
		for _, s := range got {
			names = append(names, s.Room)
			if known := s.Room == "lobby"; known != (s.Offset == 1) || known != (s.Pos != "") {
				t.Errorf("%+v", s)
			}
		}
		if !slices.Equal(names, []string{"lobby", "many:1", "many:2", "user:ann"}) {
			t.Errorf("limit %d: %q", limit, names)
		}
	}
	if _, err := r.all[0].Seats(t.Context(), "nobody", fleet.Page{Limit: 1}); !errors.Is(err, router.ErrNoConnection) {
		t.Errorf("of nobody: %v", err)
	}
	r.away["two"] = true
	if _, err := r.all[0].Seats(t.Context(), ann.id(), fleet.Page{Limit: 1}); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("while its instance is away: %v", err)
	}
}

func TestARoomIsCountedOnAllInstances(t *testing.T) {
	r := start(t, "one", "two")
	r.all[0].join("ann")
	r.all[1].join("ann")
	room, err := r.all[0].Room(t.Context(), "user:ann")
	if err != nil || room.Connections != 2 || room.Rule == nil || !room.Top.IsZero() && room.Top.Offset != 0 || room.Missing != nil {
		t.Errorf("%+v, %v", room, err)
	}
	r.away["two"] = true
	if room, err = r.all[0].Room(t.Context(), "user:ann"); err != nil || room.Connections != 1 || !slices.Equal(room.Missing, []string{"two"}) {
		t.Errorf("while another is away: %+v, %v", room, err)
	}
	if room, err = r.all[0].Room(t.Context(), "nowhere"); err != nil || room.Rule != nil {
		t.Errorf("a room without a rule: %+v, %v", room, err)
	}
	if _, err = r.all[0].Room(t.Context(), "no room"); !wire.IsCode(err, wire.InvalidMessage) {
		t.Errorf("what is no name: %v", err)
	}
}
