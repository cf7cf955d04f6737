package membroker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestTheSweeperDropsWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{IdempotencyTTL: time.Minute}, brokertest.NewRecorder(t))
		p := draft("room", "1", kept)
		p.IdempotencyKey = "key"
		if _, err := b.Publish(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		say(t, b, "stays", "1", broker.Retention{Size: 1})
		time.Sleep(time.Minute - time.Millisecond)
		synctest.Wait()
		if st := b.Stats(); st.Entries != 2 || st.Keys != 1 {
			t.Errorf("before its time: %+v", st)
		}
		time.Sleep(sweepEvery + time.Millisecond)
		synctest.Wait()
		if st := b.Stats(); st.Entries != 1 || st.Keys != 0 || st.Rooms != 2 {
			t.Errorf("after it: %+v", st)
		}
		audit(t, b)
	})
}

func TestEveryRoomIsSweptInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{}, brokertest.NewRecorder(t))
		const rooms = 3 * sweepRooms * shardCount
		for i := range rooms {
			say(t, b, fmt.Sprint("room-", i), "1", kept)
		}
		time.Sleep(kept.Age - sweepEvery/2)
		for last := rooms; last > 0; {
			time.Sleep(sweepEvery)
			synctest.Wait()
			left := b.Stats().Entries
			if left == last || last-left > sweepRooms*shardCount {
				t.Fatalf("a tick left %d of %d entries", left, last)
			}
			last = left
		}
		quiet(t, b)
	})
}

func TestARoomIsSweptABoundedNumberOfEntriesAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{}, brokertest.NewRecorder(t))
		for range 2*sweepEntries + 1 {
			say(t, b, "room", "1", broker.Retention{Size: 1 << 20, Age: time.Minute})
		}
		time.Sleep(time.Minute - 500*time.Millisecond)
		for _, want := range []int{sweepEntries + 1, 1, 0} {
			time.Sleep(sweepEvery)
			synctest.Wait()
			if st := b.Stats(); st.Entries != want {
				t.Errorf("%d entries, want %d", st.Entries, want)
			}
		}
	})
}

func TestMetadataOutlivesTheLastUseByADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := brokertest.NewRecorder(t)
		b := unswept(t, Config{}, sink)
		pos := say(t, b, "room", "1", kept)
		time.Sleep(kept.Age + metaTTL/2)
		b.sweep()
		if got := top(t, b, "room"); got != pos {
			t.Fatalf("after half a day %v, want %v", got, pos)
		}
		time.Sleep(kept.Age + metaTTL - time.Millisecond) // reading was using
		b.sweep()
		quiet(t, b)
		if st := b.Stats(); st.Rooms != 1 || st.Gaps != 0 {
			t.Errorf("too early: %+v", st)
		}
		time.Sleep(time.Millisecond)
		b.sweep()
		quiet(t, b)
		if st := b.Stats(); st.Rooms != 0 || st.Evicted != 0 {
			t.Errorf("too late: %+v", st)
		}
		now := top(t, b, "room")
		want := wire.Gap{Reason: reasonEpoch, From: 1, Top: now}
		if now.Epoch == pos.Epoch || now.Offset != 0 {
			t.Errorf("from %v to %v", pos, now)
		}
		if events := sink.Events("room"); len(events) != 2 || events[1].Gap == nil || *events[1].Gap != want {
			t.Errorf("told %+v, want %+v", events, want)
		}
	})
}

func TestEntriesWithoutAnAgeAreNotSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := unswept(t, Config{}, brokertest.NewRecorder(t))
		pos := say(t, b, "room", "1", broker.Retention{Size: 1})
		time.Sleep(3 * metaTTL)
		b.sweep()
		if got := top(t, b, "room"); got != pos || b.Stats().Entries != 1 {
			t.Errorf("from %v to %v, %+v", pos, got, b.Stats())
		}
	})
}

func TestPublishingDropsWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := unswept(t, Config{}, brokertest.NewRecorder(t))
		for range 3 {
			say(t, b, "room", "1", kept)
			time.Sleep(kept.Age)
			if st := b.Stats(); st.Entries != 1 {
				t.Errorf("%d entries", st.Entries)
			}
		}
		quiet(t, b)
	})
}

func TestALogThatShrinksGivesItsMemoryBack(t *testing.T) {
	b := start(t, Config{}, nowhere{})
	for range 1000 {
		say(t, b, "room", "1", broker.Retention{Size: 1000})
	}
	say(t, b, "room", "1", broker.Retention{Size: 2})
	quiet(t, b)
	if most := int64(roomCost + 3*(entryCost+100) + 8*entrySlot); b.Stats().MemoryBytes > most {
		t.Errorf("%d bytes for 2 entries", b.Stats().MemoryBytes)
	}
}

func TestTheSweepRemakesMaps(t *testing.T) {
	b := New(Config{})
	say(t, b, "room", "1", kept)
	s, _ := b.shardOf("room")
	s.peak, s.keys.peak = mapWorth, mapWorth
	b.sweep()
	if s.peak != 1 || s.keys.peak != 0 || s.rooms["room"] == nil {
		t.Errorf("peaks %d and %d, rooms %v", s.peak, s.keys.peak, s.rooms)
	}
	audit(t, b)
}

func TestMapsThatWereLargeGiveTheirMemoryBack(t *testing.T) {
	m := make(map[int]int)
	for i := range 2 * mapWorth {
		m[i] = i
	}
	if _, peak := remake(m, 2*mapWorth); peak != 2*mapWorth {
		t.Errorf("a full map was remade: peak %d", peak)
	}
	for i := range 2*mapWorth - 3 {
		delete(m, i)
	}
	if small, peak := remake(m, 2*mapWorth); len(small) != 3 || peak != 3 || small[2*mapWorth-1] != 2*mapWorth-1 {
		t.Errorf("remade with %d elements, peak %d", len(small), peak)
	}
	if _, peak := remake(map[int]int{}, mapWorth-1); peak != mapWorth-1 {
		t.Errorf("a small map was remade: peak %d", peak)
	}
}

func TestAKeyMadeAnewBeforeItsEndCameUpIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Config{IdempotencyTTL: time.Second}) // no sweeper
		s, _ := b.shardOf("room")
		p := draft("room", "1", kept)
		for i := range sweepBurst + 2 {
			p.IdempotencyKey = fmt.Sprint("key-", i)
			if _, err := b.Publish(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		// The last key has ended; a burst later it still stands in the order.
		first, err := b.TryPublish(p)
		if err != nil || first.Offset != sweepBurst+3 || s.keys.order.Len() != 3 {
			t.Fatalf("went to %v, %d in the order: %v", first, s.keys.order.Len(), err)
		}
		for range 2 {
			if again, err := b.TryPublish(p); err != nil || again != first {
				t.Errorf("first %v, then %v: %v", first, again, err)
			}
		}
		if s.keys.order.Len() != 1 || len(s.keys.records) != 1 {
			t.Errorf("%d keys, %d in the order", len(s.keys.records), s.keys.order.Len())
		}
		audit(t, b)
	})
}
