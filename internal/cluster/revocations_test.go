package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// revoker remembers what it was told, the longest of each.
type revoker struct {
	mu    sync.Mutex
	known map[router.Revocation]time.Time // guarded by mu
}

func (r *revoker) Revoke(all ...router.Revocation) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range all {
		key := router.Revocation{User: v.User, Token: v.Token}
		if r.known[key].Before(v.Until) {
			r.known[key] = v.Until
		}
	}
	return 0, nil
}

func (r *revoker) Revocations() []router.Revocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []router.Revocation
	for v, until := range r.known {
		v.Until = until
		all = append(all, v)
	}
	return all
}

// until is how long somebody is refused.
func (r *revoker) until(v router.Revocation) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[v]
}

type book = cluster.Revocations

// ledger is one instance's.
type ledger struct {
	*book
	*revoker
}

func keep(t *testing.T, m *redisconn.Manager, limit int) ledger {
	t.Helper()
	l := ledger{cluster.NewRevocations(m, limit, zap.NewNop()), &revoker{known: map[router.Revocation]time.Time{}}}
	l.Start(l.revoker)
	t.Cleanup(l.Shutdown)
	eventually(t, "the ledger is read", l.Loaded)
	return l
}

// revoke does what an instance does: it refuses, and writes it down.
func (l ledger) revoke(v router.Revocation) error {
	_, _ = l.Revoke(v)
	return l.Record(context.Background(), v)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

func user(id string) router.Revocation { return router.Revocation{User: id} }

func token(text string) router.Revocation { return router.Revocation{Token: auth.NameOf(text)} }

func at(v router.Revocation, until time.Time) router.Revocation {
	v.Until = until
	return v
}

func TestARevocationComesToEveryInstanceAndToThoseThatStartLater(t *testing.T) {
	m := redistest.Manager(t, redistest.Single(t).Config())
	one, two := keep(t, m, 1000), keep(t, m, 1000)
	hour := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	odd := user("é \x00\"'{}:/ " + string(make([]byte, 200)))
	for _, v := range []router.Revocation{user("ann"), token("t1"), odd} {
		if err := one.revoke(at(v, hour)); err != nil {
			t.Fatal(err)
		}
	}
	three := keep(t, m, 1000)
	for name, l := range map[string]ledger{"two": two, "three": three} {
		for _, v := range []router.Revocation{user("ann"), token("t1"), odd} {
			eventually(t, name+" knows", func() bool { return l.until(v).Equal(hour) })
		}
	}
	if st := three.Stats(); st.Loads != 1 || st.Recorded != 0 {
		t.Errorf("%+v", st)
	}

	// A longer one replaces a shorter one, and not the other way round.
	longer := hour.Add(time.Hour)
	for _, until := range []time.Time{longer, hour.Add(-time.Minute)} {
		if err := two.revoke(at(user("ann"), until)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "one knows the longer", func() bool { return one.until(user("ann")).Equal(longer) })
	if four := keep(t, m, 1000); !four.until(user("ann")).Equal(longer) {
		t.Errorf("four has read %v", four.until(user("ann")))
	}
}

func TestTheLedgerStandsInOneSlotOfACluster(t *testing.T) {
	nodes := redistest.Cluster(t)
	m := redistest.Manager(t, redistest.ClusterConfig(nodes))
	one, two := keep(t, m, 2), keep(t, m, 2)
	v := at(user("ann"), time.Now().Add(time.Hour))
	if err := one.revoke(v); err != nil {
		t.Fatal(err)
	}
	if err := one.revoke(at(token("t"), v.Until)); err != nil {
		t.Fatal(err)
	}
	if err := one.Record(t.Context(), at(user("bob"), v.Until)); !wire.IsCode(err, wire.LimitExceeded) {
		t.Errorf("a third of two: %v", err)
	}
	eventually(t, "two knows both", func() bool { return len(two.Revocations()) == 2 })
}

func TestManyRevocationsAreFollowedAndReadWhole(t *testing.T) {
	m := redistest.Manager(t, redistest.Single(t).Config())
	one, two := keep(t, m, 5000), keep(t, m, 5000)
	hour := time.Now().Add(time.Hour)
	const n = 2500 // several pages
	var wg sync.WaitGroup
	for w := range 10 {
		wg.Go(func() {
			for i := range n / 10 {
				v := user(fmt.Sprintf("u%d.%d", w, i))
				if i%2 == 0 {
					v = token(v.User)
				}
				if err := one.revoke(at(v, hour)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "two knows all", func() bool { return len(two.Revocations()) == n })
	if three := keep(t, m, 5000); len(three.Revocations()) != n {
		t.Errorf("three knows %d", len(three.Revocations()))
	}
	if st := two.Stats(); st.Loads != 1 {
		t.Errorf("two has read everything %d times", st.Loads)
	}
}

func TestWhatRedisLosesTheInstancesBring(t *testing.T) {
	server := redistest.Single(t)
	m := redistest.Manager(t, server.Config())
	one, two := keep(t, m, 1000), keep(t, m, 1000)
	hour := time.Now().Add(time.Hour)
	for i := range 600 {
		if err := one.revoke(at(user(fmt.Sprint("u", i)), hour)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "two knows all", func() bool { return len(two.Revocations()) == 600 })
	if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := two.revoke(at(token("t"), hour)); err != nil { // at once: the log has a beginning again
		t.Fatal(err)
	}
	eventually(t, "one knows what came after", func() bool { return len(one.Revocations()) == 601 })
	eventually(t, "Redis has all again", func() bool { return len(keep(t, m, 1000).Revocations()) == 601 })
}

func TestARevocationThatRedisDidNotTakeIsWrittenOnceItIsBack(t *testing.T) {
	server := redistest.Single(t)
	cfg := server.Config()
	cfg.CommandTimeout = 300 * time.Millisecond
	m := redistest.Manager(t, cfg)
	one := keep(t, m, 1000)
	server.Kill()
	v := at(user("ann"), time.Now().Add(time.Hour))
	if err := one.revoke(v); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("recorded without Redis: %v", err)
	}
	server.Restart()
	two := keep(t, m, 1000)
	eventually(t, "two knows", func() bool { return !two.until(user("ann")).IsZero() })
	if st := one.Stats(); st.Failed != 1 || st.Recorded != 1 {
		t.Errorf("%+v", st)
	}
}

func TestTheLedgerIsBoundedAndForgetsWhatHasRunOut(t *testing.T) {
	server := redistest.Single(t)
	m := redistest.Manager(t, server.Config())
	one := keep(t, m, 3)
	soon, hour := time.Now().Add(300*time.Millisecond), time.Now().Add(time.Hour)
	for _, v := range []router.Revocation{at(user("a"), soon), at(user("b"), hour), at(token("c"), hour)} {
		if err := one.revoke(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.Record(t.Context(), at(user("d"), hour)); !wire.IsCode(err, wire.LimitExceeded) && time.Now().Before(soon) {
		t.Errorf("a fourth of three: %v", err)
	}
	if err := one.Record(t.Context(), at(user("b"), hour.Add(time.Hour))); err != nil {
		t.Errorf("a longer one of one that is there: %v", err)
	}
	eventually(t, "there is room for another", func() bool { return one.Record(t.Context(), at(user("d"), hour)) == nil })
	if err := one.Record(t.Context(), at(user("past"), time.Now().Add(-time.Minute))); err != nil {
		t.Errorf("one that has run out: %v", err)
	}
	two := keep(t, m, 3)
	if got := two.Revocations(); len(got) != 3 || !two.until(user("past")).IsZero() || !two.until(user("a")).IsZero() {
		t.Errorf("%v", got)
	}
	keys, err := server.Client().Keys(t.Context(), m.Prefix()+"rev*").Result()
	if err != nil || len(keys) != 3 {
		t.Errorf("keys %q, %v", keys, err)
	}
	for _, key := range keys {
		if ttl := server.Client().TTL(t.Context(), key).Val(); ttl <= 0 || ttl > 2*time.Hour {
			t.Errorf("%s lives for %v", key, ttl)
		}
	}
}
