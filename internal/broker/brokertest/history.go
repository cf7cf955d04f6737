package brokertest

import (
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func testHistory(t *testing.T, h Harness) {
	h.ask(t, []question{
		{"the newest entries are kept, as many as the room keeps", Settings{}, func(r *rig) {
			r.fill(12, broker.Retention{Size: 5, Age: time.Hour})
			page := r.page(wire.Position{}, broker.NoLimit)
			r.wantOffsets(page.Publications, 8, 12)
			if page.Top.Offset != 12 {
				r.Errorf("top %v", page.Top)
			}
		}},
		{"a room that keeps fewer from now on drops the others", Settings{}, func(r *rig) {
			r.fill(10, kept)
			r.publish(r.draft(room, broker.Retention{Size: 3, Age: time.Hour}))
			r.wantOffsets(r.page(wire.Position{}, broker.NoLimit).Publications, 9, 11)
		}},
		{"entries expire one by one while the room is busy", Settings{}, func(r *rig) {
			keep := broker.Retention{Size: 100, Age: r.age}
			for late := true; late; {
				first := r.publish(r.draft(room, keep)).Offset
				time.Sleep(r.age * 6 / 10)
				began := time.Now()
				r.publish(r.draft(room, keep))
				time.Sleep(r.age * 6 / 10)
				second := r.page(wire.Position{}, broker.NoLimit).Publications
				r.publish(r.draft(room, keep))
				third := r.page(wire.Position{}, broker.NoLimit).Publications
				if late = r.late(began); !late {
					r.wantOffsets(second, first+1, first+1)
					r.wantOffsets(third, first+1, first+2)
				}
			}
		}},
		{"entries without an age stay", Settings{}, func(r *rig) {
			r.fill(3, broker.Retention{Size: 100})
			time.Sleep(r.age)
			r.wantOffsets(r.page(wire.Position{}, broker.NoLimit).Publications, 1, 3)
		}},
		{"a page has at most as many as asked for, the oldest of them", Settings{}, func(r *rig) {
			positions := r.fill(10, kept)
			for _, c := range []struct {
				since    wire.Position
				limit    int
				from, to uint64
			}{
				{wire.Position{}, broker.NoLimit, 1, 10},
				{wire.Position{}, 0, 1, 0},
				{wire.Position{}, 3, 1, 3},
				{wire.Position{}, 10, 1, 10},
				{wire.Position{}, 11, 1, 10},
				{positions[0], 2, 1, 2},
				{positions[4], broker.NoLimit, 5, 10},
				{positions[4], 1, 5, 5},
				{positions[4], 0, 1, 0},
				{positions[9], 5, 10, 10},
				{positions[10], 5, 1, 0},
			} {
				page := r.page(c.since, c.limit)
				r.wantOffsets(page.Publications, c.from, c.to)
				if page.Top != positions[10] {
					r.Errorf("since %v, limit %d: top %v", c.since, c.limit, page.Top)
				}
			}
		}},
		{"a page goes on where the last one ended", Settings{}, func(r *rig) {
			r.fill(10, kept)
			var since wire.Position
			var all []*wire.Publication
			for range 4 {
				page := r.page(since, 3)
				all = append(all, page.Publications...)
				since = all[len(all)-1].Position
			}
			r.wantOffsets(all, 1, 10)
		}},
		{"reading an empty room makes nothing but a position", Settings{}, func(r *rig) {
			page := r.page(wire.Position{}, broker.NoLimit)
			if len(page.Publications) != 0 || page.Top.Epoch == 0 || page.Top.Offset != 0 || page.Top.Nonce != 0 {
				r.Errorf("page %+v", page)
			}
			if again := r.top(); again != page.Top {
				r.Errorf("top %v, then %v", page.Top, again)
			}
		}},
	})
}
