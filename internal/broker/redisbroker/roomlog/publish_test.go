package roomlog

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// ear listens to a room's channel.
type ear struct {
	*rig
	sub *redis.PubSub
}

func (r *rig) listen(room string) *ear {
	r.Helper()
	var sub *redis.PubSub
	if r.redis.Clustered() {
		sub = r.redis.Client().SSubscribe(r.Context(), r.log.Channel(room))
	} else {
		sub = r.redis.Client().Subscribe(r.Context(), r.log.Channel(room))
	}
	r.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(r.Context()); err != nil {
		r.Fatal(err)
	}
	return &ear{r, sub}
}

// next is the next message on the channel.
func (e *ear) next() Message {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), 30*time.Second)
	defer cancel()
	got, err := e.sub.ReceiveMessage(ctx)
	if err != nil {
		e.Fatal(err)
	}
	m, err := Decode(room, []byte(got.Payload))
	if err != nil {
		e.Fatal(err)
	}
	return m
}

func askAPublicationIsStoredAndSentAsItWasGiven(r *rig) {
	ear := r.listen(room)
	var last wire.Position
	for i := range 3 {
		p := r.draft(room, kept)
		p.Origin, p.ConflateKey, p.NoEcho, p.Except, p.IdempotencyKey = "conn", "price", true, []string{"x"}, fmt.Sprint(i)
		p.Position.Nonce = uint64(4711 + i)
		pos := r.publish(p)
		if pos.Epoch == 0 || pos.Offset != uint64(i)+1 || pos.Nonce != p.Position.Nonce || i > 0 && pos.Epoch != last.Epoch {
			r.Errorf("%v follows %v", pos, last)
		}
		heard := ear.next()
		if heard.Kind != Published || heard.Prev != last.Nonce {
			r.Fatalf("heard %+v", heard)
		}
		pages := r.page(wire.Position{}, broker.NoLimit).Publications
		for where, got := range map[string]*wire.Publication{"heard": heard.Pub, "read": pages[i]} {
			if age := time.Since(time.UnixMilli(got.Time)).Abs(); age > time.Minute || got.Time < pages[0].Time {
				r.Errorf("%s: published at %v", where, time.UnixMilli(got.Time))
			}
			if got.Position != pos || got.Room != room || got.Event != p.Event || string(got.Data) != string(p.Data) ||
				got.Publisher != "ann" || got.Origin != "conn" || got.ConflateKey != "price" || !got.NoEcho ||
				!slices.Equal(got.Except, p.Except) {
				r.Errorf("%s: %+v", where, *got)
			}
		}
		last = pos
	}
}

func askANonceIsStoredOnce(r *rig) {
	ear := r.listen(room)
	p := r.draft(room, broker.Retention{Size: 1})
	p.Position.Nonce = 4711
	first := r.publish(p)
	for others := range 14 {
		again, outcome, err := r.log.Publish(r.Context(), p)
		if err != nil || outcome != Repeated || again != first {
			r.Fatalf("after %d others: %v, outcome %d, %v; first %v", others, again, outcome, err, first)
		}
		r.publish(r.draft(room, broker.Retention{Size: 1}))
	}
	if top := r.top(); top.Offset != 15 {
		r.Errorf("top %v", top)
	}
	for i := range 15 {
		if m := ear.next(); m.Pub == nil || m.Pub.Position.Offset != uint64(i)+1 {
			r.Fatalf("message %d: %+v", i, m)
		}
	}
}

func TestASecondAttemptIsFoundFartherBack(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	long := broker.Retention{Size: 1000}
	p := r.draft(room, long)
	p.Position.Nonce = 4711
	first := r.publish(p)
	for range 350 {
		r.publish(r.draft(room, long))
	}
	d, err := newDraft(&p)
	if err != nil {
		t.Fatal(err)
	}
	second := func(ago time.Duration) string {
		cmd := redis.NewStringCmd(t.Context(), r.log.publishArgs(&d, ago)...)
		if err := r.redis.Client().Process(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
		return cmd.Val()
	}
	pos, err := parsePosition([]byte(second(time.Second)[1:]))
	if err != nil || pos != first || r.top().Offset != 351 {
		t.Errorf("found at %v, stored at %v, top %v: %v", pos, first, r.top(), err)
	}
	// One that finds nothing, as the first was lost with a failover, must not
	// pass for the entry that others may have seen.
	lost := r.draft(room, long)
	lost.Position.Nonce = 4712
	if d, err = newDraft(&lost); err != nil {
		t.Fatal(err)
	}
	if pos, err = parsePosition([]byte(second(time.Second)[1:])); err != nil || pos.Offset != 352 || pos.Nonce == 4712 {
		t.Errorf("a second attempt that finds no first is at %v: %v", pos, err)
	}
	// A first attempt is not looked for far back.
	if d, err = newDraft(&p); err != nil {
		t.Fatal(err)
	}
	if answer := second(0); answer[0] != 's' {
		t.Errorf("a first attempt: %q", answer)
	}
}

func askAKeyIsUsedOnce(r *rig) {
	for name, keep := range map[string]broker.Retention{"with": kept, "without": {}} {
		p := r.draft(name, keep)
		p.IdempotencyKey = "key"
		first := r.publish(p)
		p.Position.Nonce = 99 // another attempt
		again, outcome, err := r.log.Publish(r.Context(), p)
		if err != nil || outcome != Repeated || again != first || again.IsZero() == keep.Keeps() {
			r.Errorf("%s history: %v, outcome %d, %v; first %v", name, again, outcome, err, first)
		}
		for what, change := range map[string]func(*broker.Publication){
			"data":         func(p *broker.Publication) { p.Data = []byte(`2`) },
			"event":        func(p *broker.Publication) { p.Event = "other" },
			"conflate key": func(p *broker.Publication) { p.ConflateKey = "other" },
		} {
			other := p
			change(&other)
			pos, _, err := r.log.Publish(r.Context(), other)
			if !wire.IsCode(err, wire.Conflict) || !pos.IsZero() {
				r.Errorf("%s history, other %s: %v, %v", name, what, pos, err)
			}
		}
		for what, change := range map[string]func(*broker.Publication){
			"publisher": func(p *broker.Publication) { p.Publisher = "bob" },
			"key":       func(p *broker.Publication) { p.IdempotencyKey = "other" },
			"cut":       func(p *broker.Publication) { p.Publisher, p.IdempotencyKey = "annk", "ey" },
		} {
			other := p
			other.Position.Nonce = 0
			change(&other)
			if _, outcome, err := r.log.Publish(r.Context(), other); err != nil || outcome != Stored {
				r.Errorf("%s history, other %s: outcome %d, %v", name, what, outcome, err)
			}
		}
	}
	if st := r.log.Stats(); st.Published != 8 || st.Repeated != 2 || st.Conflicts != 6 || st.Unavailable != 0 {
		r.Errorf("%+v", st)
	}
}

func TestAKeyIsForgottenAfterItsTime(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{IdempotencyTTL: 50 * time.Millisecond})
	p := r.draft(room, kept)
	p.IdempotencyKey = "key"
	first := r.publish(p)
	p.Data = []byte(`"other"`)
	eventually(t, "the key is free again", func() bool {
		pos, outcome, err := r.log.Publish(t.Context(), p)
		return err == nil && outcome == Stored && pos.Offset == first.Offset+1
	})
}

func askARoomWithoutHistoryKeepsNothing(r *rig) {
	ear, before := r.listen(room), r.top()
	p := r.draft(room, broker.Retention{})
	p.Position.Nonce = 4711
	if pos := r.publish(p); !pos.IsZero() {
		r.Errorf("position %v", pos)
	}
	m := ear.next()
	if m.Pub == nil || m.Pub.Position != (wire.Position{Nonce: 4711}) || m.Prev != 0 || m.Pub.Time == 0 {
		r.Errorf("heard %+v", m)
	}
	if page := r.page(before, broker.NoLimit); page.Top != before || len(page.Publications) != 0 {
		r.Errorf("page %+v after %v", page, before)
	}
}

func askARoomThatStopsKeepingHistoryBeginsANewEpoch(r *rig) {
	ear, old := r.listen(room), r.publish(r.draft(room, kept))
	ear.next()
	r.publish(r.draft(room, broker.Retention{}))
	now := r.top()
	if now.Epoch == old.Epoch || now.Offset != 0 {
		r.Errorf("from %v to %v", old, now)
	}
	if m := ear.next(); m.Kind != EpochEnded || m.Top != now {
		r.Errorf("first %+v, top %v", m, now)
	}
	if m := ear.next(); m.Kind != Published || m.Pub.Position.Offset != 0 {
		r.Errorf("then %+v", m)
	}
	r.refused(old, "epoch_changed")
	r.publish(r.draft(room, broker.Retention{}))
	if again := r.top(); again != now {
		r.Errorf("from %v to %v", now, again)
	}
	if next := r.publish(r.draft(room, kept)); next.Epoch != now.Epoch || next.Offset != 1 {
		r.Errorf("from %v to %v", now, next)
	}
}

func TestARoomThatIsAConnectionHasNoChannel(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	name := wire.ConnectionRoom("id")
	ear := r.listen(name)
	p := r.draft(name, broker.Retention{})
	r.publish(p)
	p.IdempotencyKey = "key"
	r.publish(p)
	if _, outcome, err := r.log.Publish(t.Context(), p); err != nil || outcome != Repeated {
		t.Errorf("outcome %d, %v", outcome, err)
	}
	if err := r.log.Notify(t.Context(), name, []byte("end")); err != nil {
		t.Fatal(err)
	}
	if m := ear.next(); m.Kind != Notice || string(m.Payload) != "end" {
		t.Errorf("heard %+v", m)
	}
}

func askRoomsWithOddNamesAreRooms(r *rig) {
	seen := make(map[uint64]string)
	for _, name := range []string{"*", "!fleet", "user:a/20b", "}", "{", "a}b", "%}", "€\n ", "{a}"} {
		pos := r.publish(r.draft(name, kept))
		page, err := r.log.Read(r.Context(), name, wire.Position{}, broker.NoLimit)
		if err != nil || len(page.Publications) != 1 || page.Top != pos || seen[pos.Epoch] != "" {
			r.Errorf("%q: %+v, %v; %v is as in %q", name, page, err, pos, seen[pos.Epoch])
		}
		seen[pos.Epoch] = name
	}
}

func TestFaultyPublicationsAreRefused(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	long := r.draft(room, kept)
	long.IdempotencyKey = string(make([]byte, 129))
	for name, p := range map[string]broker.Publication{"no room": r.draft("", kept), "a long key": long} {
		if _, _, err := r.log.Publish(t.Context(), p); !wire.IsCode(err, wire.InvalidMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.log.Read(t.Context(), "", wire.Position{}, 0); !wire.IsCode(err, wire.InvalidMessage) {
		t.Errorf("reading no room: %v", err)
	}
}

func TestPublishesShareRoundTrips(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	errs := make(chan error)
	const publishers, each = 500, 10
	for i := range publishers {
		go func() {
			var err error
			for range each {
				p := broker.Publication{Retention: broker.Retention{Size: publishers * each}}
				p.Room, p.Data = fmt.Sprint("room-", i%7), []byte(`1`)
				if _, _, e := r.log.Publish(t.Context(), p); e != nil {
					err = e
				}
			}
			errs <- err
		}()
	}
	for range publishers {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	st := r.log.Stats()
	if st.Commands < publishers*each || st.Batches > st.Commands/4 || st.Waiting != 0 || st.Published != publishers*each {
		t.Errorf("%+v", st)
	}
}

func TestLifetimesOfKeysFollowTheRetention(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	life := func(key string) time.Duration { return r.redis.Client().PTTL(t.Context(), key).Val() }
	want := func(what string, got, want time.Duration) {
		t.Helper()
		if want > 0 && (got > want || got < want-time.Minute/2) || want <= 0 && got != want {
			t.Errorf("%s lives for %v, want %v", what, got, want)
		}
	}
	meta, entries := r.log.metaKey(room), r.log.logKey(room)
	r.top()
	want("the meta of an empty room", life(meta), time.Hour)
	for _, age := range []time.Duration{time.Hour, 0, time.Minute, 2 * time.Minute} {
		r.publish(r.draft(room, broker.Retention{Size: 10, Age: age}))
		r.publish(r.draft(room, broker.Retention{Size: 10, Age: age}))
		if age == 0 {
			want("a meta without age", life(meta), -1)
			want("a log without age", life(entries), -1)
			continue
		}
		want("a meta", life(meta), age+24*time.Hour)
		want("a log", life(entries), age+time.Minute)
	}
	// Reading and verifying lengthen what is half over.
	for what, use := range map[string]func(){
		"reading":   func() { r.top() },
		"verifying": func() { r.verify(wire.Position{Epoch: 1}) },
	} {
		r.redis.Client().PExpire(t.Context(), meta, 11*time.Hour)
		use()
		want("a meta after "+what, life(meta), 2*time.Minute+24*time.Hour)
	}
}

func TestAnAttemptThatIsExecutedLateOrTwiceStoresNothingAgain(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	for name, order := range map[string][]time.Duration{
		"the second attempt twice":                  {time.Second, time.Second},
		"the first attempt after the second":        {time.Second, 0},
		"the second after the first":                {0, time.Second},
		"the second twice after the first":          {0, time.Second, time.Second},
		"the first and the second after the second": {time.Second, 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.draft(name, kept)
			r.publish(r.draft(p.Room, kept))
			d, err := newDraft(&p)
			if err != nil {
				t.Fatal(err)
			}
			for i, ago := range order {
				args := r.log.publishArgs(&d, ago)
				args[0], args[1] = "EVAL", r.log.scripts.publish.source
				answer, err := r.redis.Client().Do(t.Context(), args...).Text()
				if want := byte('r'); err != nil || i > 0 && answer[0] != want {
					t.Errorf("attempt %d: %q, %v", i+1, answer, err)
				}
			}
		})
	}
}
