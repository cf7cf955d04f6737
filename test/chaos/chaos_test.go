package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/test/chaos/check"
)

// crowd is how many subscribers there are.
const crowd = 40

func TestAFleetKeepsItsWordUnderChaos(t *testing.T) {
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			program, err := programs.sound()
			if err != nil {
				t.Fatal(err)
			}
			survive(t, plan{program: program, gateways: 3, subscribers: crowd, seed: seed}, chaosTime(t))
		})
	}
}

// survive lets chaos reign for a while and judges what happened.
func survive(t *testing.T, p plan, whole time.Duration) {
	t.Helper()
	t.Logf("CHAOS_SEED=%d CHAOS_TIME=%v", p.seed, whole)
	r := begin(t, p)
	stop := r.read()
	r.round(2*time.Second, func(context.Context) {}) // so that everything is there that will be
	stop()
	before := r.quiet()

	stop = r.read()
	n := newNemesis(r, p.seed)
	rounds := max(1, int(whole/(20*time.Second)))
	if whole < time.Minute {
		n.most, rounds = 1200*time.Millisecond, 2
	}
	var last outcome
	var service, settled time.Duration
	for i := range rounds {
		last = r.round(whole/time.Duration(rounds), n.act)
		service, settled = max(service, last.service), max(settled, last.settled)
		if found, _ := check.Check(last.record, r.rules); len(found) > 0 || r.wrong() {
			t.Logf("in round %d of %d:", i+1, rounds)
			break
		}
	}
	stop()
	found, counts := check.Check(last.record, r.rules)
	if len(found) == 0 && !r.wrong() {
		r.leaves(before)
	}
	t.Logf("deeds: %v", n.counts)
	t.Logf("after %d faults service was back within %v at most (%s); after all of a round within %v, everything delivered %v later",
		counts.Recoveries, counts.Longest.Round(time.Millisecond), counts.LongestAfter, service.Round(time.Millisecond), settled.Round(time.Millisecond))
	t.Logf("%+v", counts)
	r.report(last.record, found)
	if counts.Acknowledged < 50 || counts.Received < 50 || counts.Resumed == 0 {
		t.Error("hardly anything happened")
	}
}

func (r *run) wrong() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.problems) > 0
}

// report fails the test by what was found, and keeps the history.
func (r *run) report(rec check.Record, found []check.Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	const most = 40
	for i, p := range r.problems {
		if i == most {
			r.t.Errorf("and %d more", len(r.problems)-most)
			break
		}
		r.t.Error(p)
	}
	for i, v := range found {
		if i == most {
			r.t.Errorf("and %d more", len(found)-most)
			break
		}
		r.t.Error(v)
	}
	if len(found)+len(r.problems) == 0 {
		return
	}
	var b strings.Builder
	lines := json.NewEncoder(&b)
	for _, f := range rec.Faults {
		r.t.Logf("%9.3fs to %9.3fs %s (gateway %d)", f.Start.Seconds(), f.End.Seconds(), f.Name, f.Gateway)
		_ = lines.Encode(f)
	}
	for _, br := range rec.Breaks {
		_ = lines.Encode(br)
	}
	for i := range rec.Events {
		_ = lines.Encode(rec.Events[i])
	}
	path := filepath.Join(r.t.ArtifactDir(), "history.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		r.t.Error(err)
	}
	r.t.Logf("the history is in %s, if -artifacts was given", path)
}
