package presence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestWhoAsksOfAUserWhileEverythingIsToBeWrittenIsNotLeftWaiting(t *testing.T) {
	s := redistest.Single(t)
	a := newWorld(t, s.Config(), "a", "b").all[0]
	s.Stop()
	defer s.Continue()
	a.dir.ReplicationChanged(nil)
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	if _, err := (quota{a.dir}).Elsewhere(ctx, "ann"); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the answer: %v", err)
	}
}

func TestPagesThatManyAskForDoNotWaitForAHungRedisOneAfterTheOther(t *testing.T) {
	s := redistest.Single(t)
	a := newWorld(t, s.Config(), "a", "b").all[0]
	s.Stop()
	defer s.Continue()
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	var wg sync.WaitGroup
	for n := range readSize * 2 * int(generous/patience) {
		wg.Go(func() {
			if _, err := a.dir.Elsewhere(ctx, fmt.Sprint("x", n), "", 10); err == nil || errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
				t.Errorf("page %d: %v", n, err)
			}
		})
	}
	wg.Wait()
}

func TestAnInstanceThatIsBackInTimeIsNotBuried(t *testing.T) {
	s := redistest.Single(t)
	w := newWorld(t, s.Config(), "a", "b")
	a, b := w.all[0], w.all[1]
	ann, _ := a.in("ann", "x"), b.in("bob", "x")
	w.settled()
	ann.heard()
	// It was silent for long, and has come back before it is told of.
	if err := s.Client().PExpire(t.Context(), a.dir.keys.summary("b"), time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	a.dir.Gone("b")
	eventually(t, "a has looked", func() bool {
		a.dir.graves.mu.Lock()
		defer a.dir.graves.mu.Unlock()
		return len(a.dir.graves.list) == 0
	})
	a.dir.Gone("nobody") // is looked for after it
	eventually(t, "a has done so", func() bool {
		return s.Client().Exists(t.Context(), a.dir.keys.grave("nobody")).Val() == 1
	})
	if got := ann.heard(); slices.Contains(got, "member_left x bob") {
		t.Errorf("ann was told %q", got)
	}
	b.expectWritten("x/bob | user:bob=1 x=1")
}
