package chaos

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/test/chaos/check"
)

// mutant is a fault in the gateway (see the mutations of package redisbroker)
// and how it is to be found.
type mutant struct {
	name   string
	by     []check.Class  // any of these
	deeds  map[string]int // what the nemesis prefers to do
	always bool           // also in the short run
}

func mutants() []mutant {
	flapping := map[string]int{"CLIENT KILL TYPE pubsub": 20, "reset of a link": 20, "one-way cut to the client": 10, "black hole on a link": 10}
	return []mutant{
		{name: "drop_publish", by: []check.Class{check.Hole, check.Behind}},
		{name: "skip_gap", by: []check.Class{check.Hole}, deeds: flapping},
		{
			name: "skip_nonce", by: []check.Class{check.Forked, check.Replaced, check.Hole}, always: true,
			deeds: map[string]int{"promotion after a replication cut": 60, "FLUSHALL": 0},
		},
		{
			name: "ack_early", by: []check.Class{check.Lost},
			deeds: map[string]int{"kill and restart of Redis": 30, "SIGSTOP of Redis": 10},
		},
		{name: "forget_key", by: []check.Class{check.Twice}, always: true},
	}
}

// mutantTime is how long a mutant may live.
const mutantTime = 40 * time.Second

func TestMutantsAreCaught(t *testing.T) {
	for _, m := range mutants() {
		if !m.always && !long() {
			continue // the long run has them all
		}
		t.Run(m.name, func(t *testing.T) {
			program, err := programs.mutant()
			if err != nil {
				t.Fatal(err)
			}
			hunt(t, m, program)
		})
	}
}

// hunt lets chaos reign until the mutant is found.
func hunt(t *testing.T, m mutant, program string) {
	t.Helper()
	seed := seeds(t)[0]
	t.Logf("CHAOS_SEED=%d", seed)
	begun := time.Now()
	r := begin(t, plan{program: program, env: []string{"GATEWAY_MUTANT=" + m.name}, gateways: 2, subscribers: crowd, seed: seed})
	r.bound = 5 * time.Second // what does not come right is no matter here
	stop := r.read()
	defer stop()
	n := newNemesis(r, seed)
	n.most, n.weights = time.Second, m.deeds
	var all []check.Violation
	var last check.Record
	for time.Since(begun) < mutantTime {
		last = r.round(5*time.Second, n.act).record
		all, _ = check.Check(last, r.rules)
		found := map[check.Class]int{}
		for _, v := range all {
			found[v.Class]++
		}
		for _, class := range m.by {
			if found[class] > 0 {
				t.Logf("caught after %v by %v", time.Since(begun).Round(time.Second), found)
				return
			}
		}
	}
	t.Logf("deeds: %v", slices.Sorted(maps.Keys(n.counts)))
	r.report(last, all)
	t.Errorf("%s was not caught by any of %v", m.name, m.by)
}
