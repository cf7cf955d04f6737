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

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestCommandsAreExecutedOnceAndDeleted(t *testing.T) {
	r := newRig(t)
	r.add(`op|publish|room|news|event|headline|data|{"n": 1.0}`) // before there is anybody
	c := r.start(config())
	for _, entry := range []string{
		`op|publish|user|ann|event|note`,
		`op|publish|connection|c-1|event|hint|data|"x"|conflateKey|k`,
		`event|alarm|op|publish|everyone|true|data|[1]|except|["c-1","c-2"]`,
		`op|publish|room|news|event|headline|data|2|idempotencyKey|mine`,
		`op|publish|room|news|event|headline|data|2|idempotencyKey|mine`,
		`op|disconnect|user|ann`,
		`op|disconnect|connection|c-1`,
		`op|subscribe|user|ann|room|news`,
		`op|unsubscribe|connection|c-1|room|news`,
		`op|revoke|user|ann|until|1767225600000`,
		`op|revoke|user|bob|traceparent|of no use|tracestate|x`,
		`op|revoke|token|secret`,
	} {
		r.add(entry)
	}
	r.expect(
		`news: headline {"n": 1.0}`, `user ann: note `, `connection c-1: hint "x" conflates k`, `everyone: alarm [1] but c-1,c-2`,
		`news: headline 2 by backend/mine`, `disconnect ann`, `disconnect c-1`, `subscribe ann to news`, `unsubscribe c-1 from news`,
		`revoke ann until 1767225600000`, `revoke bob until 0`, `revoke token secret`,
	)
	got := c.Stats()
	if got.Executed != 13 || !got.Active || got.Dead != 0 || r.again != 1 || c.Err() != nil {
		t.Errorf("stats %+v, %d again, %v", got, r.again, c.Err())
	}
	r.until("nothing under way", func() bool { s := c.Stats(); return s.UnderWay == 0 && s.Length == 0 })
}

func TestEntriesOfOneTargetKeepTheirOrder(t *testing.T) {
	r := newRig(t)
	r.answers(func(_ context.Context, what string) error {
		if strings.HasSuffix(what, "7") { // some take longer
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	const rooms, each = 20, 100
	pipe := r.client.Pipeline()
	for n := range each {
		for room := range rooms {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: r.keys.stream, Values: []string{
				"op", "publish", "room", fmt.Sprint("room-", room), "event", "e", "data", fmt.Sprint(n)}})
		}
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := r.start(config())
	r.untilEmpty()
	next := map[string]int{}
	for _, what := range r.done() {
		room, data, _ := strings.Cut(what, ": e ")
		if fmt.Sprint(next[room]) != data {
			t.Fatalf("%s got %s, and %d was next", room, data, next[room])
		}
		next[room]++
	}
	if len(next) != rooms || c.Stats().Executed != rooms*each || r.most < 2 || r.most > concurrency {
		t.Errorf("%d rooms, %+v, %d at once", len(next), c.Stats(), r.most)
	}
}

func TestATargetThatWaitsHoldsUpNoOther(t *testing.T) {
	r := newRig(t)
	release := make(chan struct{})
	r.answers(func(ctx context.Context, what string) error {
		if what == "slow: e 1" {
			return held(ctx, release)
		}
		return nil
	})
	r.start(config())
	r.add(`op|publish|room|slow|event|e|data|1`)
	r.add(`op|publish|room|slow|event|e|data|2`)
	r.add(`op|subscribe|user|ann|room|slow`)    // after both of slow
	r.add(`op|publish|user|ann|event|e|data|3`) // after ann's subscription
	r.add(`op|publish|room|fast|event|e|data|4`)
	r.add(`op|publish|everyone|true|event|e|data|5`)
	r.until("the others", func() bool { return len(r.done()) == 2 })
	close(release)
	r.untilEmpty()
	got := r.done()
	slices.Sort(got[:2])
	want := []string{"everyone: e 5", "fast: e 4", "slow: e 1", "slow: e 2", "subscribe ann to slow", "user ann: e 3"}
	if !slices.Equal(got, want) {
		t.Errorf("done %q", got)
	}
}

func TestWhatCanNeverBeDoneGoesToTheDeadLetters(t *testing.T) {
	r := newRig(t)
	r.answers(func(_ context.Context, what string) error {
		switch {
		case strings.HasPrefix(what, "closed:"):
			return wire.NewError(wire.Forbidden, "the policy does not allow it")
		case strings.HasPrefix(what, "other:"):
			return wire.NewError(wire.Conflict, "the key has other content")
		case strings.HasPrefix(what, "broken:"):
			return errors.New("the password of db-7 is wrong")
		}
		return nil
	})
	c := r.start(config())
	cases := []struct{ entry, code, reason string }{
		{`op|publish|room|closed|event|e`, "forbidden", "the policy does not allow it"},
		{`op|publish|room|other|event|e`, "conflict", "the key has other content"},
		{`op|publish|room|broken|event|e`, "internal", "internal error"},
		{`op|dance|room|news`, "invalid_message", errOp.Error()},
		{`room|news|event|e`, "invalid_message", errOp.Error()},
		{`op|publish|event|e`, "invalid_message", errTo.Error()},
		{`op|publish|event|e|room|a|user|b`, "invalid_message", errTo.Error()},
		{`op|publish|event|e|room|a b`, "invalid_message", errRoom.Error()},
		{`op|publish|event|e|room|a|data|{`, "invalid_message", errData.Error()},
		{`op|publish|event|e|room|a|data|hello`, "invalid_message", errData.Error()},
		{`op|publish|event|e|room|a|data|`, "invalid_message", errData.Error()},
		{`op|publish|event|e|room|a|data|"` + strings.Repeat("x", 1000) + `"`, "too_large", errLong.Error()},
		{`op|publish|event|e|room|a|dta|1`, "invalid_message", errField.Error()},
		{`op|publish|event|e|room|a|event|f`, "invalid_message", errTwice.Error()},
		{`op|publish|event|e|everyone|yes`, "invalid_message", errEveryone.Error()},
		{"op|publish|event|\xff|room|a", "invalid_message", errText.Error()},
		{`op|publish|event|e|room|a|idempotencyKey|`, "invalid_message", errKey.Error()},
		{`op|publish|event|e|room|a|except|c-1`, "invalid_message", errExcept.Error()},
		{`op|publish|event|e|user|`, "invalid_message", errUser.Error()},
		{`op|publish|event|e|connection|` + strings.Repeat("x", 65), "invalid_message", errConnection.Error()},
		{`op|disconnect`, "invalid_message", errWhom.Error()},
		{`op|disconnect|user|a|connection|b`, "invalid_message", errWhom.Error()},
		{`op|disconnect|user|a|room|b`, "invalid_message", errField.Error()},
		{`op|subscribe|user|a`, "invalid_message", errWhere.Error()},
		{`op|subscribe|room|a`, "invalid_message", errWhom.Error()},
		{`op|revoke|user|a|token|canary`, "invalid_message", errRevoke.Error()},
		{`op|revoke|token|canary|until|1`, "invalid_message", errRevoke.Error()},
		{`op|revoke|user|a|until|soon`, "invalid_message", errUntil.Error()},
		{`op|revoke|token|`, "invalid_message", errToken.Error()},
	}
	ids := map[string]int{}
	for i, tc := range cases {
		ids[r.add(tc.entry)] = i
	}
	r.add(`op|publish|room|open|event|e`)
	r.expect(`open: e `)
	letters := r.letters()
	if len(letters) != len(cases) || c.Stats().Dead != int64(len(cases)) {
		t.Fatalf("%d letters, %+v", len(letters), c.Stats())
	}
	for _, letter := range letters {
		tc := cases[ids[letter["dead-id"].(string)]]
		code, reason, _ := strings.Cut(tc.reason, ": ")
		if reason == "" || code != tc.code {
			reason = tc.reason
		}
		if letter["dead-code"] != tc.code || letter["dead-reason"] != reason {
			t.Errorf("%q: %v", tc.entry, letter)
		}
		fields := strings.Split(tc.entry, "|")
		for i := 0; i < len(fields); i += 2 {
			if want := fields[i+1]; fields[i] == "token" && letter["token"] != "(left out)" ||
				fields[i] != "token" && fields[i] != "event" && letter[fields[i]] != want {
				t.Errorf("%q: %v", tc.entry, letter)
			}
		}
	}
	for _, e := range r.logs.All() {
		if line := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(line, "db-7") || strings.Contains(line, "canary") {
			t.Errorf("the log holds %s", line)
		}
	}
}

func TestVeryLongDeadLettersAreCut(t *testing.T) {
	r := newRig(t)
	r.start(config())
	r.add(`op|publish|room|a|event|e|data|"` + strings.Repeat("x", 2<<20) + `"`)
	many := `op|publish|room|a|event|e`
	for i := range 9000 { // more than a script can hand over at once
		many += fmt.Sprintf("|f%d|x", i)
	}
	r.add(many)
	r.untilEmpty()
	letters := r.letters()
	if len(letters) != 2 || len(letters[0]["data"].(string)) != deadBytes || len(letters[1]) != deadFields+3 || letters[1]["room"] != "a" {
		t.Errorf("%d letters of %d and %d bytes", len(letters), len(letters[0]), len(letters[1]))
	}
}

func TestWhatCannotBeDoneNowIsTriedAgainInOrder(t *testing.T) {
	r := newRig(t)
	var refused atomic.Int64
	r.answers(func(ctx context.Context, what string) error {
		if strings.HasSuffix(what, "1") && refused.Add(1) <= 3 {
			return unavailable(ctx, what)
		}
		return nil
	})
	c := r.start(config())
	for n := range 3 {
		r.add(fmt.Sprintf(`op|publish|room|a|event|e|data|%d`, n))
	}
	r.untilEmpty()
	if got := r.done(); !slices.Equal(got, []string{"a: e 0", "a: e 1", "a: e 2"}) || c.Stats().Retries != 3 {
		t.Errorf("done %q, %+v", got, c.Stats())
	}
}

func TestWhatCannotBeDoneForTooLongIsDead(t *testing.T) {
	r := newRig(t)
	r.answers(func(ctx context.Context, what string) error {
		if strings.HasPrefix(what, "stuck") {
			return unavailable(ctx, what)
		}
		return nil
	})
	cfg := config()
	cfg.RetryFor = 50 * time.Millisecond
	r.start(cfg)
	r.add(`op|publish|room|stuck|event|e|data|1`)
	r.add(`op|publish|room|stuck|event|e|data|2`)
	r.add(`op|publish|room|open|event|e`)
	r.expect(`open: e `)
	if letters := r.letters(); len(letters) != 2 || letters[0]["dead-code"] != "unavailable" || letters[0]["data"] != "1" || letters[1]["data"] != "2" {
		t.Errorf("letters %v", letters)
	}
}

func TestNobodyThereIsNoFault(t *testing.T) {
	r := newRig(t)
	r.answers(func(context.Context, string) error { return router.ErrNoConnection })
	c := r.start(config())
	r.add(`op|publish|connection|c-1|event|e`)
	r.add(`op|disconnect|connection|c-1`)
	r.expect()
	if got := c.Stats(); got.Executed != 2 || got.Absent != 2 || got.Dead != 0 {
		t.Errorf("%+v", got)
	}
}

func TestACommandForManyConnectionsReachesAllOrIsTriedAgain(t *testing.T) {
	r := newRig(t)
	r.reaches(fleet.Reached{Connections: 1, Missing: []string{"gw-2"}})
	c := r.start(config())
	r.add(`op|disconnect|user|ann`)
	r.until("another attempt", func() bool { return c.Stats().Retries > 0 })
	r.reaches(fleet.Reached{Connections: 1, Fault: wire.NewError(wire.Forbidden, "no")})
	r.untilEmpty()
	if letters := r.letters(); len(letters) != 1 || letters[0]["dead-code"] != "forbidden" {
		t.Errorf("letters %v", letters)
	}
}

func TestNoMoreIsReadThanMayBeUnderWay(t *testing.T) {
	r := newRig(t)
	release := make(chan struct{})
	r.answers(func(ctx context.Context, _ string) error { return held(ctx, release) })
	pipe := r.client.Pipeline()
	for n := range 2 * maxUnderWay {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: r.keys.stream, Values: []string{
			"op", "publish", "room", "a", "event", "e", "data", fmt.Sprint(n)}})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := r.start(config())
	r.until("as many as may be", func() bool { return c.Stats().UnderWay == maxUnderWay })
	left := r.client.PTTL(t.Context(), r.keys.lease).Val()
	r.until("a renewal of the lease", func() bool {
		now := r.client.PTTL(t.Context(), r.keys.lease).Val()
		renewed := now > left
		left = now
		return renewed
	})
	if got := c.Stats(); got.UnderWay != maxUnderWay || got.Length != 2*maxUnderWay {
		t.Errorf("%+v", got)
	}
	close(release)
	r.untilEmpty()
	if got := r.done(); len(got) != 2*maxUnderWay || r.again != 0 {
		t.Errorf("%d were done, %d again", len(got), r.again)
	}
}

func TestLargeEntriesAreReadAFewAtATime(t *testing.T) {
	r := newRig(t)
	cfg := config()
	cfg.MaxData = 0
	release := make(chan struct{})
	r.answers(func(ctx context.Context, _ string) error { return held(ctx, release) })
	for range 28 {
		r.add(`op|publish|room|a|event|e|data|"` + strings.Repeat("x", 1<<20) + `"`)
	}
	c := r.start(cfg)
	r.until("as many as may be", func() bool { return c.Stats().UnderWay >= 16 })
	time.Sleep(100 * time.Millisecond) // in which too much would be read
	if got := c.Stats(); got.UnderWay > 16+firstBatch {
		t.Errorf("%d MiB are under way, %+v", got.UnderWay, got)
	}
	close(release)
	r.untilEmpty()
}
