package presence

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestAUserHasSoManyConnectionsOnAllInstances(t *testing.T) {
	w := newWorld(t, redistest.Single(t).Config(), "a", "b") // three for each user
	a, b := w.all[0], w.all[1]
	first, second, third, fourth := a.account(), b.account(), b.account(), a.account()
	for _, acc := range []*limit.Account{first, second, third, first} {
		if err := acc.Enter(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
	}
	if err := fourth.Enter(t.Context(), "ann"); !errors.Is(err, limit.ErrUser) {
		t.Errorf("the fourth: %v", err)
	}
	if err := fourth.Enter(t.Context(), "bob"); err != nil {
		t.Errorf("another user: %v", err)
	}
	second.Close()
	b.settled()
	if err := fourth.Enter(t.Context(), "ann"); err != nil {
		t.Errorf("there was room: %v", err)
	}
	b.leave() // an instance that is gone counts no more
	fifth := a.account()
	if err := fifth.Enter(t.Context(), "ann"); err != nil {
		t.Errorf("after an instance has gone: %v", err)
	}
	for _, acc := range []*limit.Account{first, second, third, fourth, fifth} {
		acc.Close()
	}
	w.settled()
	b.settled()
	for _, inc := range []string{"a", "b"} {
		if n := a.redis.Client().HLen(t.Context(), a.dir.keys.users(inc)).Val(); n != 0 {
			t.Errorf("%d users are left on %s", n, inc)
		}
	}
}

func TestNoTwoInstancesLetInOneTooMany(t *testing.T) {
	w := newWorld(t, redistest.Single(t).Config(), "a", "b", "c")
	for range 30 {
		var in atomic.Int32
		var wg sync.WaitGroup
		var mu sync.Mutex
		var accounts []*limit.Account
		for n := range 12 {
			wg.Go(func() {
				acc := w.all[n%3].account()
				if acc.Enter(t.Context(), "ann") == nil {
					in.Add(1)
				}
				mu.Lock()
				accounts = append(accounts, acc)
				mu.Unlock()
			})
		}
		wg.Wait()
		if in.Load() > 3 {
			t.Errorf("%d were let in", in.Load())
		}
		for _, acc := range accounts {
			acc.Close()
		}
		w.settled()
	}
}

func TestWithoutRedisAnInstanceLimitsItsOwn(t *testing.T) {
	s := redistest.Single(t)
	w := newWorld(t, s.Config(), "a", "b")
	s.Kill()
	var wg sync.WaitGroup
	for _, i := range w.all {
		wg.Go(func() {
			for n := range 4 {
				acc := i.account()
				defer acc.Close()
				if err := acc.Enter(t.Context(), "ann"); (err == nil) != (n < 3) {
					t.Errorf("connection %d on %s: %v", n, i.inc, err)
				}
			}
		})
	}
	wg.Wait()
}
