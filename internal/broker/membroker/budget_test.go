package membroker

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// bulk is a publication's data of a kilobyte.
var bulk = strings.Repeat("x", 1024)

func top(t testing.TB, b *Broker, room string) wire.Position {
	t.Helper()
	page, err := b.History(t.Context(), room, wire.Position{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return page.Top
}

func TestOverTheBudgetTheRoomUsedLongestAgoLosesItsHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := brokertest.NewRecorder(t)
		b := start(t, Config{MemoryBytes: 64 << 10}, sink)
		lost := say(t, b, "lost", bulk, kept)
		read := say(t, b, "read", bulk, kept)
		for i := 0; b.Stats().Evicted == 0; i++ {
			time.Sleep(time.Millisecond)
			top(t, b, "read") // reading is using
			say(t, b, fmt.Sprint("other-", i), bulk, kept)
			if st := b.Stats(); st.MemoryBytes > 64<<10 || i > 64 {
				t.Fatalf("after %d rooms: %+v", i, st)
			}
		}
		quiet(t, b)
		if got := top(t, b, "read"); got != read {
			t.Errorf("the room that was read went from %v to %v", read, got)
		}
		now := top(t, b, "lost")
		if now.Epoch == lost.Epoch || now.Offset != 0 {
			t.Errorf("the room that was not went from %v to %v", lost, now)
		}
		want := wire.Gap{Reason: "history_lost", From: 1, Top: now}
		if events := sink.Events("lost"); len(events) != 2 || events[1].Gap == nil || *events[1].Gap != want {
			t.Errorf("told %+v, want %+v", events, want)
		}
		if st := b.Stats(); st.Evicted != 1 || st.Gaps != 1 {
			t.Errorf("%+v", st)
		}
		// What follows is of the new epoch, and said to be.
		if pos := say(t, b, "lost", "1", kept); pos.Epoch != now.Epoch || pos.Offset != 1 {
			t.Errorf("went on at %v", pos)
		}
		quiet(t, b)
		events := sink.Events("lost")
		if gap := events[len(events)-2].Gap; gap == nil || gap.Top != now || gap.Reason != reasonEpoch {
			t.Errorf("before the new epoch came %+v", events[len(events)-2])
		}
	})
}

func TestKeysTakeAQuarterOfTheBudgetAndTheOldestGo(t *testing.T) {
	b := start(t, Config{MemoryBytes: 64 << 10}, brokertest.NewRecorder(t))
	const most = 64 << 10 / 4 / keyCost
	p := draft("room", "1", kept)
	for i := range 10 * most {
		p.IdempotencyKey = fmt.Sprint("key-", i)
		if _, err := b.Publish(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if st := b.Stats(); st.Keys != min(i+1, most) {
			t.Fatalf("%d keys after %d publishes", st.Keys, i+1)
		}
	}
	quiet(t, b)
	for _, c := range []struct{ key, offset int }{{9 * most, 9*most + 1}, {0, 10*most + 1}} {
		p.IdempotencyKey = fmt.Sprint("key-", c.key)
		if pos, err := b.Publish(t.Context(), p); err != nil || pos.Offset != uint64(c.offset) {
			t.Errorf("key %d went to %v, want offset %d: %v", c.key, pos, c.offset, err)
		}
	}
	if st := b.Stats(); st.Evicted != 0 || st.Repeated != 1 {
		t.Errorf("%+v", st)
	}
}

func TestKeysAloneGiveWayWhenNoRoomHasHistory(t *testing.T) {
	b := start(t, Config{MemoryBytes: 64 << 10}, brokertest.NewRecorder(t))
	p := draft("room", "1", broker.Retention{})
	for i := range 1000 {
		p.IdempotencyKey = fmt.Sprint("key-", i)
		if _, err := b.Publish(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	quiet(t, b)
}

func TestKeysThatGiveWayTakeNoHistoryWithThem(t *testing.T) {
	b := start(t, Config{MemoryBytes: 1 << 20}, nowhere{})
	pos := say(t, b, "room", "1", kept)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10_000 {
				p := draft(fmt.Sprint("room-", i), "1", broker.Retention{})
				p.IdempotencyKey = fmt.Sprint(j)
				if _, err := b.Publish(t.Context(), p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	quiet(t, b)
	if got := top(t, b, "room"); got != pos || b.Stats().Evicted != 0 {
		t.Errorf("from %v to %v, %+v", pos, got, b.Stats())
	}
}

func TestOneRoomTakesHalfOfTheBudget(t *testing.T) {
	b := start(t, Config{MemoryBytes: 64 << 10}, brokertest.NewRecorder(t))
	all := broker.Retention{Size: 1 << 20}
	say(t, b, "other", "1", all)
	for range 500 {
		say(t, b, "room", bulk, all)
	}
	quiet(t, b)
	page, err := b.History(t.Context(), "room", wire.Position{}, broker.NoLimit)
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	for _, p := range page.Publications {
		bytes += publicationCost(p)
	}
	if most, one := int64(32<<10), publicationCost(page.Publications[0]); bytes > most || bytes+one <= most {
		t.Errorf("%d publications take %d bytes of %d", len(page.Publications), bytes, most)
	}
	if page.Top.Offset != 500 || b.Stats().Evicted != 0 {
		t.Errorf("top %v, %+v", page.Top, b.Stats())
	}
}

func TestAPublicationOfMoreThanAnEighthOfTheBudgetIsTooLarge(t *testing.T) {
	b := start(t, Config{MemoryBytes: 64 << 10}, brokertest.NewRecorder(t))
	p := draft("room", "", kept)
	fits := 64<<10/8 - int(publicationCost(&p.Publication))
	say(t, b, "room", strings.Repeat("x", fits), kept)
	for name, publish := range publishers(b) {
		if err := publish(draft("room", strings.Repeat("x", fits+1), kept)); !wire.IsCode(err, wire.TooLarge) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if pos := top(t, b, "room"); pos.Offset != 1 {
		t.Errorf("top %v", pos)
	}
}

// publishers are the two ways to publish.
func publishers(b *Broker) map[string]func(broker.Publication) error {
	return map[string]func(broker.Publication) error{
		"Publish": func(p broker.Publication) error {
			_, err := b.Publish(context.Background(), p)
			return err
		},
		"TryPublish": func(p broker.Publication) error {
			_, err := b.TryPublish(p)
			return err
		},
	}
}

func TestNothingKeptCountsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := unswept(t, Config{}, brokertest.NewRecorder(t))
		for i := range 20_000 {
			p := draft(fmt.Sprint("room-", i%500), "1", broker.Retention{Size: 20, Age: time.Duration(1+i%9) * time.Minute})
			if i%3 == 0 {
				p.IdempotencyKey = fmt.Sprint(i)
			}
			if _, err := b.Publish(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		if st := b.Stats(); st.Rooms != 500 || st.Entries != 500*20 || st.Keys != 6667 {
			t.Errorf("at first %+v", st)
		}
		quiet(t, b)
		time.Sleep(10 * time.Minute)
		for i := range 100 {
			page, err := b.History(t.Context(), fmt.Sprint("room-", i), wire.Position{}, broker.NoLimit)
			if err != nil || len(page.Publications) != 0 {
				t.Errorf("unswept: %d publications, %v", len(page.Publications), err)
			}
		}
		audit(t, b)
		b.sweep()
		quiet(t, b)
		if st := b.Stats(); st.Rooms != 500 || st.Entries != 0 || st.Keys != 0 {
			t.Errorf("ten minutes later %+v", st)
		}
		time.Sleep(metaTTL + 10*time.Minute)
		b.sweep()
		quiet(t, b)
		if st := b.Stats(); st.Rooms != 0 || st.MemoryBytes != 0 || st.HandoffBytes != 0 || st.Gaps != 500 {
			t.Errorf("a day later %+v", st)
		}
		for i := range b.shards {
			s := &b.shards[i]
			s.mu.Lock()
			if len(s.rooms) != 0 || s.keys.order.Cap() != 0 {
				t.Errorf("shard %d holds %d rooms and %d slots for keys", i, len(s.rooms), s.keys.order.Cap())
			}
			s.mu.Unlock()
		}
	})
}
