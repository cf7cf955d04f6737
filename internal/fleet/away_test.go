package fleet_test

import (
	"slices"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestWhileNobodyCanBeAskedNothingIsSaidToBeWhole(t *testing.T) {
	s := redistest.Single(t)
	at := s.Config()
	at.Prefix = "fleet:"
	all := assemble(t, at, "one", "two")
	one, ann := all[0], all[1].join("ann", "lobby")
	s.Kill()
	eventually(t, "two's time is over", func() bool { return len(one.registry.Others()) == 0 })

	two := []string{"two"}
	if got, err := one.Disconnect(t.Context(), router.Target{User: "ann"}); err == nil && !slices.Equal(got.Missing, two) {
		t.Errorf("a user who may be on two is disconnected: %+v", got)
	}
	ann.ended(0)
	if err := one.SendConnection(t.Context(), ann.id(), router.Outgoing{Event: "ding"}); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("sent to a connection that two may have: %v", err)
	}
	if _, err := one.Connection(t.Context(), ann.id()); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("a connection that two may have: %v", err)
	}
	page := fleet.Page{Limit: 10}
	for what, missing := range map[string][]string{
		"rooms": one.Rooms(t.Context(), "", page).Missing, "members": one.Members(t.Context(), "lobby", page).Missing,
		"connections": one.Connections(t.Context(), "ann", page).Missing, "census": one.Census(t.Context()).Missing,
	} {
		if !slices.Equal(missing, two) {
			t.Errorf("%s: %q are missing", what, missing)
		}
	}
}

func TestASlowLedgerKeepsNobodyFromHearingOfARevocation(t *testing.T) {
	r := start(t, "one", "two")
	ann := r.all[1].join("ann")
	ended := false
	r.all[0].slow = func() {
		eventually(t, "ann is disconnected on two", func() bool {
			_, ended = ann.Ended()
			return ended
		})
	}
	if got, err := r.all[0].RevokeUser(t.Context(), "ann", time.Time{}); err != nil || got.Connections != 1 || !ended {
		t.Errorf("%+v, %v", got, err)
	}
}
