package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestOneInstanceReadsAndAnotherTakesOver(t *testing.T) {
	r := newRig(t)
	first := r.start(brief())
	r.until("a reader", first.stats.active.Load)
	second := r.start(brief())
	for n := range 50 {
		r.add(fmt.Sprintf(`op|publish|room|a|event|e|data|%d`, n))
	}
	r.untilEmpty()
	if first.Stats().Active && second.Stats().Active {
		t.Error("both read")
	}
	r.stop(first)
	if first.Stats().Active {
		t.Error("the first is stopped and reads")
	}
	for n := range 50 {
		r.add(fmt.Sprintf(`op|publish|room|a|event|e|data|%d`, 50+n))
	}
	r.untilEmpty()
	for n, what := range r.done() {
		if what != fmt.Sprintf("a: e %d", n) {
			t.Fatalf("%d is %s", n, what)
		}
	}
	if got := second.Stats(); got.Executed < 50 || !got.Active {
		t.Errorf("%+v", got)
	}
}

func TestAnInstanceThatDrainsLeavesTheCommandsToOthers(t *testing.T) {
	r := newRig(t)
	var drains atomic.Bool
	first := r.commands(brief(), func(context.Context) error {
		if drains.Load() {
			return errors.New("draining")
		}
		return nil
	})
	first.Start()
	t.Cleanup(func() { r.stop(first) })
	r.until("a reader", first.stats.active.Load)
	second := r.start(brief())
	drains.Store(true)
	r.until("another reader", second.stats.active.Load)
	r.until("one reader", func() bool { return !first.Stats().Active })
	r.add(`op|publish|room|a|event|e`)
	r.expect(`a: e `)
}

func TestCommandsRunUntilTheirContextEnds(t *testing.T) {
	r := newRig(t)
	c := r.commands(config(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan struct{})
	go func() {
		defer close(over)
		c.Run(ctx)
	}()
	r.add(`op|publish|room|a|event|e`)
	r.expect(`a: e `)
	cancel()
	<-over
	if c.Stats().Active || r.client.Exists(t.Context(), r.keys.lease).Val() != 0 {
		t.Error("the lease is not given back")
	}
}

func TestWhatAReaderHasLeftIsTheNextOnesFirst(t *testing.T) {
	r := newRig(t)
	first := r.start(brief())
	var cut atomic.Bool
	r.answers(func(ctx context.Context, what string) error {
		if what == "a: e 1" && !cut.Swap(true) {
			<-ctx.Done() // published or not: nobody knows
			return ctx.Err()
		}
		return nil
	})
	for n := range 5 {
		r.add(fmt.Sprintf(`op|publish|room|a|event|e|data|%d`, n))
	}
	r.until("the one that hangs", cut.Load)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("shut down with %v", err)
	}
	r.start(brief())
	r.untilEmpty()
	if got := r.done(); !slices.Equal(got, []string{"a: e 0", "a: e 1", "a: e 2", "a: e 3", "a: e 4"}) {
		t.Errorf("done %q, %d again", got, r.again)
	}
}

func TestAnInstanceWhoseLeaseIsTakenStopsReading(t *testing.T) {
	r := newRig(t)
	c := r.start(brief())
	r.until("a reader", c.stats.active.Load)
	r.client.Set(t.Context(), r.keys.lease, "somebody else", time.Minute)
	r.until("nobody reads", func() bool { return !c.Stats().Active })
	r.add(`op|publish|room|a|event|e`)
	time.Sleep(2 * brief().Lease)
	if len(r.done()) > 0 || c.Stats().Active {
		t.Errorf("it goes on: %q", r.done())
	}
	r.client.Del(t.Context(), r.keys.lease) // as when it runs out
	r.expect(`a: e `)
	if got := r.client.Get(t.Context(), r.keys.lease).Val(); !strings.HasPrefix(got, "gw/") {
		t.Errorf("the lease says %q", got)
	}
}

func TestWhatEndsItsInstancesIsDeadInTheEnd(t *testing.T) {
	r := newRig(t)
	// deliver has entries delivered again, as if instances had crashed with them.
	deliver := func(times int, ids ...string) {
		for range times {
			if err := r.client.XClaim(t.Context(), &redis.XClaimArgs{Stream: r.keys.stream, Group: group, Consumer: consumer, Messages: ids}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := r.add(`op|publish|room|a|event|e|data|1`)
	poison := r.add(`op|publish|room|b|event|e|data|2`)
	third := r.add(`op|publish|room|c|event|e|data|3`)
	r.add(`op|publish|room|d|event|e|data|4`)
	if err := r.client.XGroupCreate(t.Context(), r.keys.stream, group, "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.client.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: group, Consumer: consumer, Streams: []string{r.keys.stream, ">"}, Count: 10}).Err(); err != nil {
		t.Fatal(err)
	}
	deliver(aloneFrom, first, poison, third)
	deliver(maxDeliveries, poison)
	var alone atomic.Int64
	r.answers(func(_ context.Context, what string) error {
		if strings.HasPrefix(what, "a:") || strings.HasPrefix(what, "c:") {
			time.Sleep(20 * time.Millisecond)
			r.mu.Lock()
			alone.Store(max(alone.Load(), int64(r.inside)))
			r.mu.Unlock()
		}
		return nil
	})
	r.start(config())
	r.expect(`a: e 1`, `c: e 3`, `d: e 4`)
	if letters := r.letters(); len(letters) != 1 || letters[0]["dead-id"] != poison || letters[0]["dead-reason"] != errPoison.Message {
		t.Errorf("letters %v", letters)
	}
	if alone.Load() != 1 {
		t.Errorf("%d at once", alone.Load())
	}
}

func TestEndsOfReadersDoNotMakeAnEntryDead(t *testing.T) {
	r := newRig(t)
	var open atomic.Bool
	r.answers(func(ctx context.Context, what string) error {
		if !open.Load() {
			return unavailable(ctx, what)
		}
		return nil
	})
	r.add(`op|publish|room|a|event|e|data|1`)
	for range maxDeliveries + 2 {
		c := r.start(brief())
		r.until("an attempt", func() bool { return c.Stats().Retries > 0 })
		r.stop(c)
	}
	open.Store(true)
	r.start(brief())
	r.expect(`a: e 1`)
	if letters := r.letters(); len(letters) != 0 {
		t.Errorf("letters %v", letters)
	}
}

func TestAnAnswerThatIsLostLosesNoEntry(t *testing.T) {
	r := newRig(t)
	c := r.start(brief())
	r.add(`op|publish|room|first|event|e`)
	r.untilEmpty() // it has looked for what others left, and takes new entries
	// Delivered to the reader, who never sees it, in one step.
	source := `redis.call('XADD', KEYS[1], '*', 'op', 'publish', 'room', 'a', 'event', 'e')
return redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'STREAMS', KEYS[1], '>')`
	if err := r.client.Eval(t.Context(), source, []string{r.keys.stream}, group, consumer).Err(); err != nil {
		t.Fatal(err)
	}
	r.add(`op|publish|room|b|event|e`)
	r.until("the one that is seen", func() bool {
		return slices.Contains(r.done(), "b: e ") && r.client.XLen(t.Context(), r.keys.stream).Val() <= 1
	})
	r.server.Stop() // until an answer is late: then it may have been lost
	r.until("a fault", func() bool { return c.Err() != nil })
	r.server.Continue()
	r.expect(`first: e `, `a: e `, `b: e `)
}

func TestDeletedEntriesAreForgotten(t *testing.T) {
	r := newRig(t)
	release := make(chan struct{})
	r.answers(func(ctx context.Context, what string) error { return held(ctx, release) })
	c := r.start(brief())
	r.add(`op|publish|room|a|event|e|data|1`)
	gone := r.add(`op|publish|room|a|event|e|data|2`)
	r.until("both under way", func() bool { return c.Stats().UnderWay == 2 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = c.Shutdown(ctx)
	r.client.XDel(t.Context(), r.keys.stream, gone)
	close(release)
	again := r.start(brief())
	r.expect(`a: e 1`)
	r.until("the other forgotten", func() bool { return again.Stats().Trimmed == 1 })
}

func TestRedisMayLoseEverything(t *testing.T) {
	r := newRig(t)
	c := r.start(brief())
	r.add(`op|publish|room|a|event|e|data|1`)
	r.untilEmpty()
	r.client.FlushAll(t.Context())
	r.add(`op|publish|room|a|event|e|data|2`)
	r.until("the second", func() bool { return len(r.done()) == 2 })
	r.client.Del(t.Context(), r.keys.stream) // the group alone
	r.add(`op|publish|room|a|event|e|data|3`)
	r.expect(`a: e 1`, `a: e 2`, `a: e 3`)
	r.until("no fault", func() bool { return c.Err() == nil })
}

func TestARedisThatIsAwayIsWaitedFor(t *testing.T) {
	r := newRig(t, "--appendonly", "yes", "--appendfsync", "always")
	c := r.start(brief())
	r.add(`op|publish|room|a|event|e|data|1`)
	r.untilEmpty()
	r.server.Kill()
	r.until("a fault", func() bool { return c.Err() != nil })
	r.until("nobody reads", func() bool { return !c.Stats().Active })
	r.server.Restart()
	r.until("an entry", func() bool {
		return r.client.XAdd(t.Context(), &redis.XAddArgs{Stream: r.keys.stream, Values: strings.Split(`op|publish|room|a|event|e|data|2|idempotencyKey|k`, "|")}).Err() == nil
	})
	r.expect(`a: e 1`, `a: e 2 by backend/k`)
}

func TestAKeyOfAnotherKindIsSaidAndNotTouched(t *testing.T) {
	r := newRig(t)
	r.client.Set(t.Context(), r.keys.stream, "mine", 0)
	c := r.start(brief())
	r.until("a fault", func() bool { return c.Err() != nil })
	if got := r.client.Get(t.Context(), r.keys.stream).Val(); got != "mine" || c.Stats().Active {
		t.Errorf("the key holds %q", got)
	}
	r.client.Del(t.Context(), r.keys.stream)
	r.until("a reader", c.stats.active.Load)
}

func TestNoRedisAtAllDoesNotHoldUpShutdown(t *testing.T) {
	server := redistest.Single(t)
	m := redistest.NewManager(t, server.Config())
	server.Kill()
	m.Start()
	r := &rig{t: t, redis: m, gateway: &gateway{}}
	c := New(brief(), Parts{Redis: m, Publisher: r.gateway, People: r.gateway, Log: nop()})
	c.Start()
	r.stop(c)
	r.stop(c) // and again
	c.Start() // does nothing any more
	off := brief()
	off.Name = Off
	none := New(off, Parts{Redis: m, Log: nop()})
	none.Start()
	r.stop(none)
	if none.Enabled() || none.Stats() != (CommandStats{}) {
		t.Error("commands are read though they are off")
	}
}

func TestCommandsAreReadFromACluster(t *testing.T) {
	servers := redistest.Cluster(t)
	r := rigOn(t, redistest.ClusterConfig(servers))
	r.start(config())
	for n := range 100 {
		r.add(fmt.Sprintf(`op|publish|room|a|event|e|data|%d`, n))
	}
	r.add(`op|dance`)
	r.untilEmpty()
	if len(r.done()) != 100 || len(r.letters()) != 1 {
		t.Errorf("%d done, %d letters", len(r.done()), len(r.letters()))
	}
}
