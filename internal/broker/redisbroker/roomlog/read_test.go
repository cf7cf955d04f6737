package roomlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func with(p wire.Position, change func(*wire.Position)) wire.Position {
	change(&p)
	return p
}

func otherEpoch(p *wire.Position) { p.Epoch ^= 1 << 20 }
func otherNonce(p *wire.Position) { p.Nonce ^= 1 << 20 }
func ahead(p *wire.Position)      { p.Offset++ }

func askAnEmptyRoomHasAPositionThatStays(r *rig) {
	empty := r.page(wire.Position{}, broker.NoLimit)
	if len(empty.Publications) != 0 || empty.Top.Epoch == 0 || empty.Top.Offset != 0 || empty.Top.Nonce != 0 || r.top() != empty.Top {
		r.Errorf("%+v, then %v", empty, r.top())
	}
	r.refused(with(empty.Top, otherEpoch), "epoch_changed")
	r.refused(with(empty.Top, otherNonce), "entry_changed")
	r.refused(with(empty.Top, ahead), "ahead")
	r.fill(3, kept)
	r.offsets(r.page(empty.Top, broker.NoLimit).Publications, 1, 3)
}

func askALogIsReadFromWhatIsKept(r *rig) {
	five := broker.Retention{Size: 5, Age: time.Hour}
	p := r.fill(8, five)
	r.offsets(r.page(wire.Position{}, broker.NoLimit).Publications, 4, 8)
	r.offsets(r.page(wire.Position{}, 2).Publications, 4, 5)
	r.offsets(r.page(p[3], broker.NoLimit).Publications, 4, 8) // the last trimmed
	r.offsets(r.page(p[5], 2).Publications, 6, 7)
	r.offsets(r.page(p[8], broker.NoLimit).Publications, 1, 0)
	r.offsets(r.page(p[5], 0).Publications, 1, 0)
	for _, limit := range []int{broker.NoLimit, 0, 1} {
		if page := r.page(p[5], limit); page.Top != p[8] {
			r.Errorf("limit %d: top %v, want %v", limit, page.Top, p[8])
		}
	}
	r.refused(p[0], "trimmed")
	r.refused(p[2], "trimmed")
	r.refused(with(p[3], otherNonce), "entry_changed")
	r.refused(with(p[6], otherNonce), "entry_changed")
	r.refused(with(p[8], otherNonce), "entry_changed")
	r.refused(with(p[6], otherEpoch), "epoch_changed")
	r.refused(with(p[8], ahead), "ahead")
	r.refused(wire.Position{Epoch: p[8].Epoch, Offset: 1<<64 - 1, Nonce: p[8].Nonce}, "ahead")
	r.publish(r.draft(room, broker.Retention{Size: 2, Age: time.Hour}))
	r.offsets(r.page(wire.Position{}, broker.NoLimit).Publications, 8, 9)
}

func TestExpiredEntriesAreNotRead(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	const age = 200 * time.Millisecond
	keep := broker.Retention{Size: 1000, Age: age}
	old := r.fill(300, keep)
	eventually(t, "they expire", func() bool { return len(r.page(wire.Position{}, broker.NoLimit).Publications) == 0 })
	if top := r.top(); top != old[300] {
		t.Errorf("top %v, want %v", top, old[300])
	}
	r.offsets(r.page(old[300], broker.NoLimit).Publications, 1, 0)
	r.refused(old[299], "expired")
	r.refused(old[0], "expired")
	r.refused(with(old[300], otherNonce), "entry_changed")
	r.refused(with(old[300], ahead), "ahead")
	long := broker.Retention{Size: 1000, Age: time.Hour} // as of now they have not expired
	r.publish(r.draft(room, long))
	r.offsets(r.page(old[0], broker.NoLimit).Publications, 1, 301)
}

func TestTheEdgeOfWhatHasExpiredIsFound(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	now := func() int64 {
		at, err := r.redis.Client().Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		return at.UnixMilli()
	}
	all := make(map[uint64]*wire.Publication)
	since := r.fill(300, broker.Retention{Size: 1000})
	for _, p := range r.page(wire.Position{}, broker.NoLimit).Publications {
		all[p.Position.Offset] = p
	}
	for _, age := range []time.Duration{time.Hour, 200 * time.Millisecond, 100 * time.Millisecond, 30 * time.Millisecond, 10 * time.Millisecond, time.Millisecond} {
		last := r.publish(r.draft(room, broker.Retention{Size: 1000, Age: age}))
		before := now() - age.Milliseconds()
		page := r.page(wire.Position{}, broker.NoLimit)
		after := now() - age.Milliseconds()
		from := last.Offset + 1
		if len(page.Publications) > 0 {
			from = page.Publications[0].Position.Offset
		}
		r.offsets(page.Publications, from, last.Offset)
		if p := all[from]; p != nil && p.Time <= before {
			t.Errorf("age %v: offset %d has expired", age, from)
		}
		if p := all[from-1]; p != nil && p.Time > after {
			t.Errorf("age %v: offset %d has not expired", age, from-1)
		}
		if from > 2 && from < 300 {
			r.refused(since[from-2], "expired")
		}
	}
}

func TestALogWhoseEntriesRedisHasExpiredKeepsItsTop(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	positions := r.fill(3, broker.Retention{Size: 10, Age: 50 * time.Millisecond})
	top := positions[3]
	eventually(t, "they expire", func() bool { return len(r.page(wire.Position{}, broker.NoLimit).Publications) == 0 })
	r.dropEntries()
	if page := r.page(wire.Position{}, broker.NoLimit); page.Top != top || len(page.Publications) != 0 {
		t.Errorf("%+v, want %v", page, top)
	}
	r.offsets(r.page(top, broker.NoLimit).Publications, 1, 0)
	r.refused(positions[2], "expired")
	if !r.verify(top).Holds || !r.verify(positions[2]).Holds {
		t.Error("what is not kept does not hold")
	}
	for i := range uint64(30) {
		next := r.publish(r.draft(room, kept))
		if next.Epoch != top.Epoch || next.Offset != top.Offset+i+1 {
			t.Errorf("%v follows %v", next, top)
		}
		r.offsets(r.page(top, broker.NoLimit).Publications, 4, next.Offset)
		r.refused(with(top, otherNonce), "entry_changed")
		r.refused(positions[2], "expired")
	}
}

func TestALogWhoseEntriesWereTakenAwayKeepsItsTop(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	for _, c := range []struct {
		age  time.Duration
		want string
	}{{time.Hour, "expired"}, {0, "trimmed"}} {
		positions := r.fill(3, broker.Retention{Size: 10, Age: c.age})
		r.dropEntries()
		r.offsets(r.page(positions[3], broker.NoLimit).Publications, 1, 0)
		r.refused(positions[2], c.want)
		next := r.publish(r.draft(room, broker.Retention{Size: 10, Age: c.age}))
		r.refused(positions[3], "trimmed") // its nonce is not known
		r.offsets(r.page(wire.Position{}, broker.NoLimit).Publications, next.Offset, next.Offset)
	}
}

// dropEntries takes the room's entries away, as their expiry does.
func (r *rig) dropEntries() {
	r.Helper()
	if err := r.redis.Client().Del(r.Context(), r.log.logKey(room)).Err(); err != nil {
		r.Fatal(err)
	}
}

func TestARoomThatKeepsMoreFromNowOnHasNoHole(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	p := r.fill(500, broker.Retention{Size: 2})
	r.publish(r.draft(room, broker.Retention{Size: 1000}))
	page := r.page(wire.Position{}, broker.NoLimit)
	if n := len(page.Publications); n < 3 || n > 250 {
		t.Errorf("%d entries", n)
	}
	first := page.Publications[0].Position
	r.offsets(page.Publications, first.Offset, 501)
	r.refused(p[0], "trimmed")
	r.refused(p[first.Offset-1], "trimmed") // nobody can say what its nonce was
	r.offsets(r.page(first, broker.NoLimit).Publications, first.Offset+1, 501)
}

func TestAMetaWithoutItsRoomsPastBeginsAnew(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	for _, use := range []func(){func() { r.top() }, func() { r.publish(r.draft(room, kept)) }, func() { r.verify(wire.Position{Epoch: 1}) }} {
		old := r.publish(r.draft(room, kept))
		if err := r.redis.Client().Del(t.Context(), r.log.metaKey(room)).Err(); err != nil {
			t.Fatal(err)
		}
		use()
		page := r.page(wire.Position{}, broker.NoLimit)
		if page.Top.Epoch == old.Epoch || len(page.Publications) != int(page.Top.Offset) || page.Top.Offset > 1 {
			t.Errorf("after %v: %+v", old, page)
		}
	}
}

func TestLongPagesAreReadInChunksWithoutAHole(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	const entries = 3000
	long := broker.Retention{Size: entries}
	first := r.top()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range entries / 50 {
				p := broker.Publication{Retention: long}
				p.Room, p.Data = room, make([]byte, 3000)
				if _, _, err := r.log.Publish(t.Context(), p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if page := r.page(first, broker.NoLimit); page.Top != page.Publications[entries-1].Position {
		t.Errorf("top %v, last %v", page.Top, page.Publications[entries-1].Position)
	}
	r.offsets(r.page(first, broker.NoLimit).Publications, 1, entries)
	r.offsets(r.page(wire.Position{}, broker.NoLimit).Publications, 1, entries)
	r.offsets(r.page(wire.Position{}, 1500).Publications, 1, 1500)
	r.offsets(r.page(r.page(first, 700).Publications[699].Position, 1500).Publications, 701, 2200)
}

func TestReadingABusyRoomEndsAtItsTop(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for ctx.Err() == nil {
				p := broker.Publication{Retention: broker.Retention{Size: 1500}}
				p.Room, p.Data = room, []byte(`1`)
				_, _, _ = r.log.Publish(ctx, p)
			}
		})
	}
	tops := []wire.Position{r.top()}
	var read, refused, long int
	for n := 0; read < 20_000 || long == 0; n++ {
		since := tops[max(0, len(tops)-1-n%30)]
		page, err := r.log.Read(t.Context(), room, since, broker.NoLimit)
		var refusal *broker.InsufficientStateError
		switch {
		case errors.As(err, &refusal):
			refused++
			tops = tops[:0]
		case wire.IsCode(err, wire.Unavailable): // it moved on three times
			continue
		case err != nil:
			t.Fatal(err)
		default:
			r.offsets(page.Publications, since.Offset+1, page.Top.Offset)
			read += len(page.Publications)
			if len(page.Publications) > chunkEntries {
				long++
			}
		}
		if n := len(page.Publications); n > 0 && page.Publications[n-1].Position != page.Top {
			t.Fatalf("a page up to %v ends at %v", page.Top, page.Publications[n-1].Position)
		}
		tops = append(tops, page.Top)
	}
	cancel()
	wg.Wait()
	t.Logf("read %d, refused %d times, %d pages in chunks", read, refused, long)
}

func TestEntriesThatOthersDeleteAreNoSilentHole(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	p := r.fill(5, kept)
	del := func(pos wire.Position) {
		if err := r.redis.Client().XDel(t.Context(), r.log.logKey(room), fmt.Sprintf("%d-%d", pos.Offset, pos.Nonce)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	del(p[3])
	r.refused(p[1], "trimmed")
	r.refused(p[2], "trimmed")
	r.refused(p[3], "trimmed")
	r.offsets(r.page(p[4], broker.NoLimit).Publications, 5, 5)
	r.offsets(r.page(wire.Position{}, broker.NoLimit).Publications, 4, 5)
	del(p[5])
	r.refused(p[4], "trimmed")
	r.offsets(r.page(p[5], broker.NoLimit).Publications, 1, 0)
}

func TestAHoleAtTheTopIsToldAtOnce(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	p := r.fill(5, kept)
	id := fmt.Sprintf("%d-%d", p[5].Offset, p[5].Nonce)
	if err := r.redis.Client().XDel(t.Context(), r.log.logKey(room), id).Err(); err != nil {
		t.Fatal(err)
	}
	r.refused(p[2], "trimmed")
	if page := r.page(wire.Position{}, broker.NoLimit); len(page.Publications) != 0 || page.Top != p[5] {
		t.Errorf("from the beginning: %+v", page)
	}
	if page := r.page(p[5], broker.NoLimit); len(page.Publications) != 0 || page.Top != p[5] {
		t.Errorf("from the top: %+v", page)
	}
}
