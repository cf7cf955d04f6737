package fleet_test

import (
	"slices"
	"testing"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
)

func TestTheStatisticsOfEveryInstanceAreToldByName(t *testing.T) {
	r := start(t, "two", "one")
	r.all[0].join("ann")
	r.all[0].join("ben")
	got := r.all[1].Statistics(t.Context())
	if len(got.Instances) != 2 || len(got.Missing) != 0 || got.Instances[0].Instance != "one" || got.Instances[0].Connections != 0 ||
		got.Instances[1].Instance != "two" || got.Instances[1].Connections != 2 {
		t.Fatalf("%+v", got)
	}

	r.away["two"] = true
	got = r.all[1].Statistics(t.Context())
	if len(got.Instances) != 1 || got.Instances[0].Instance != "one" || !slices.Equal(got.Missing, []string{"two"}) {
		t.Errorf("while two does not answer: %+v", got)
	}
}

func TestAnInstanceAloneThatCountsNothingStillTellsItsName(t *testing.T) {
	i := start(t, "one").all[0]
	alone := fleet.New(fleet.Parts{Instance: "one", Router: i.router, Hub: i.hub, View: i, Drainer: i, Rebalancer: i, Log: zap.NewNop()})
	t.Cleanup(alone.Shutdown)
	got := alone.Statistics(t.Context())
	if len(got.Instances) != 1 || got.Instances[0].Instance != "one" || got.Instances[0].Errors == nil ||
		got.Instances[0].Disconnects == nil || got.Instances[0].Latencies == nil {
		t.Errorf("%+v", got)
	}
}
