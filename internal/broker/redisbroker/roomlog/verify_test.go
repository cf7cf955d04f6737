package roomlog

import (
	"context"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// verify judges one position of the room.
func (r *rig) verify(pos wire.Position) Verdict {
	r.Helper()
	shard, err := r.redis.Shard(r.Context(), room)
	if err != nil {
		r.Fatal(err)
	}
	verdicts, err := r.log.Verify(r.Context(), shard, []Claim{{room, pos}})
	if err != nil || len(verdicts) != 1 || verdicts[0].Err != nil {
		r.Fatalf("verifying %v: %+v, %v", pos, verdicts, err)
	}
	return verdicts[0]
}

// save remembers the room; rollBack puts the room's log back to what it was when it was saved, as the
// promotion of a replica does which had not got the rest.
func (r *rig) save() (rollBack func()) {
	r.Helper()
	ctx := context.WithoutCancel(r.Context())
	c := r.redis.Client()
	saved := make(map[string]string)
	for _, key := range []string{r.log.metaKey(room), r.log.logKey(room)} {
		saved[key] = c.Dump(ctx, key).Val()
	}
	return func() {
		r.Helper()
		for key, value := range saved {
			if err := c.RestoreReplace(ctx, key, 0, value).Err(); err != nil {
				r.Fatal(err)
			}
		}
	}
}

func askWhatIsInTheLogHolds(r *rig) {
	ear := r.listen(room)
	five := broker.Retention{Size: 5, Age: time.Hour}
	positions := r.fill(8, five)
	for _, pos := range positions {
		if v := r.verify(pos); !v.Holds || v.Top != positions[8] {
			r.Errorf("%v: %+v", pos, v)
		}
	}
	other := positions[8]
	other.Epoch ^= 1
	if v := r.verify(other); v.Holds || v.Top != positions[8] {
		r.Errorf("%v: %+v", other, v)
	}
	for range 8 {
		ear.next()
	}
	r.publish(r.draft(room, five))
	if m := ear.next(); m.Kind != Published {
		r.Errorf("verifying told %+v", m)
	}
}

func askALogThatWasRolledBackGoesOnInANewEpoch(r *rig) {
	ear, before := r.listen(room), r.fill(2, kept)
	rollBack := r.save()
	lost := []wire.Position{r.publish(r.draft(room, kept)), r.publish(r.draft(room, kept))}
	for _, c := range []struct {
		name  string
		claim wire.Position
		after int // publishes after the rollback
	}{
		{"a position ahead", lost[1], 0},
		{"the top with another nonce", lost[0], 1},
		{"an entry with another nonce", lost[0], 2},
	} {
		rollBack()
		for range c.after {
			r.publish(r.draft(room, kept))
		}
		old := r.top()
		if old.Epoch != before[0].Epoch {
			r.Fatalf("%s: a new epoch before its time: %v", c.name, old)
		}
		v := r.verify(c.claim)
		if v.Holds || v.Top.Epoch == old.Epoch || v.Top.Offset != old.Offset || v.Top.Nonce != old.Nonce || v.Top != r.top() {
			r.Errorf("%s: %+v after %v", c.name, v, old)
		}
		for m := ear.next(); ; m = ear.next() {
			if m.Kind == EpochEnded {
				if m.Top != v.Top {
					r.Errorf("%s: told of %v, now at %v", c.name, m.Top, v.Top)
				}
				break
			}
		}
		r.refused(c.claim, "epoch_changed")
		r.offsets(r.page(wire.Position{}, broker.NoLimit).Publications, 1, old.Offset)
		if again := r.verify(c.claim); again.Holds || again.Top != v.Top {
			r.Errorf("%s: again %+v after %+v", c.name, again, v)
		}
		if next := r.publish(r.draft(room, kept)); next.Epoch != v.Top.Epoch || next.Offset != old.Offset+1 {
			r.Errorf("%s: %v follows %v", c.name, next, v.Top)
		}
		ear.next()
	}
	if st := r.log.Stats(); st.EpochsEnded != 3 {
		r.Errorf("%+v", st)
	}
}

func TestALostLogGetsAnEpochWhenItIsVerified(t *testing.T) {
	s := redistest.Single(t)
	r := start(t, s.Config(), Config{})
	old := r.publish(r.draft(room, kept))
	if err := s.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	v := r.verify(old)
	if v.Holds || v.Top.Epoch == 0 || v.Top.Epoch == old.Epoch || v.Top.Offset != 0 || v.Top != r.top() {
		t.Errorf("%+v, top %v", v, r.top())
	}
	if v := r.verify(v.Top); !v.Holds {
		t.Errorf("an empty room: %+v", v)
	}
}

// askManyClaims verifies more than one pipeline takes, on each shard.
func askManyClaims(t *testing.T, nodes []*redistest.Server) {
	r := start(t, redistest.ClusterConfig(nodes), Config{Batch: 16})
	claims := make(map[string][]Claim)
	pos := r.publish(r.draft(room, kept))
	shard, err := r.redis.Shard(t.Context(), room)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		claims[shard.ID()] = append(claims[shard.ID()], Claim{room, pos}, Claim{room, wire.Position{Epoch: 1}})
	}
	for _, s := range r.redis.Shards() {
		verdicts, err := r.log.Verify(t.Context(), s, claims[s.ID()])
		if err != nil || len(verdicts) != len(claims[s.ID()]) {
			t.Fatalf("%d verdicts, %v", len(verdicts), err)
		}
		for i, v := range verdicts {
			if v.Holds != (i%2 == 0) || v.Err != nil {
				t.Errorf("claim %d: %+v", i, v)
			}
		}
		if s == shard {
			continue
		}
		// Another shard does not know the room.
		verdicts, err = r.log.Verify(t.Context(), s, []Claim{{room, pos}})
		if err != nil || len(verdicts) != 1 || fateOf(verdicts[0].Err) != redirected {
			t.Errorf("%+v, %v", verdicts, err)
		}
	}
}
