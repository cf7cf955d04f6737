package redisbroker

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/handoff"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// bench makes a room that is behind at a position, of a broker that does not
// run: what is handed on stays in the room's queue.
func bench(pos wire.Position) *room {
	b := &Broker{
		cfg: Config{}.withDefaults(), ready: handoff.NewQueue[*room](), behind: handoff.NewQueue[*room](), later: newAgenda(),
	}
	r := &room{b: b, name: "room", behind: true}
	r.cursor.begin(pos)
	return r
}

func unkept(nonce uint64, time int64) arrival {
	return arrival{&wire.Publication{Position: wire.Position{Nonce: nonce}, Time: time}, 0}
}

func entry(pos wire.Position) arrival { return arrival{pub(pos), 10 * (pos.Offset - 1)} }

// handed are the positions in the room's queue; a Gap is its Top.
func (r *room) handed() []wire.Position {
	var all []wire.Position
	for i := range r.queue.Len() {
		if it := r.queue.At(i); it.pub != nil {
			all = append(all, it.pub.Position)
		} else {
			all = append(all, it.ctl.gap.Top)
		}
	}
	return all
}

func equal(a, b []wire.Position) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestWhatWasPutAsideFollowsTheLogInOrder(t *testing.T) {
	noOrder := wire.Position{Nonce: 5}
	for name, c := range map[string]struct {
		stash  []arrival
		page   []wire.Position
		fresh  []arrival // come while the log is read
		want   []wire.Position
		behind bool
	}{
		"it goes on behind the page": {
			stash: []arrival{entry(at(1, 3)), entry(at(1, 4))}, page: []wire.Position{at(1, 2)},
			want: []wire.Position{at(1, 2), at(1, 3), at(1, 4)},
		},
		"it is in the page": {
			stash: []arrival{entry(at(1, 3))}, page: []wire.Position{at(1, 2), at(1, 3)},
			want: []wire.Position{at(1, 2), at(1, 3)},
		},
		"it is another version of what is in the log": {
			stash: []arrival{{&wire.Publication{Position: wire.Position{Epoch: 1, Offset: 2, Nonce: 99}}, 10}},
			page:  []wire.Position{at(1, 2)}, want: []wire.Position{at(1, 2)},
		},
		"it is of an epoch that the log is not in": {
			stash: []arrival{entry(at(7, 3))}, page: []wire.Position{at(1, 2)}, want: []wire.Position{at(1, 2)},
		},
		"it is beyond the log": {
			stash: []arrival{entry(at(1, 9))}, page: []wire.Position{at(1, 2)}, want: []wire.Position{at(1, 2)},
		},
		"what came meanwhile does not follow yet": {
			page: []wire.Position{at(1, 2)}, fresh: []arrival{entry(at(1, 4))},
			want: []wire.Position{at(1, 2)}, behind: true,
		},
		"what came meanwhile follows": {
			page: []wire.Position{at(1, 2)}, fresh: []arrival{entry(at(1, 3))}, want: []wire.Position{at(1, 2), at(1, 3)},
		},
		"what no log has keeps its place before the entry that came after it": {
			stash: []arrival{unkept(5, 1002), entry(at(1, 2))}, page: []wire.Position{at(1, 2)},
			want: []wire.Position{noOrder, at(1, 2)},
		},
		"and by its time when that has not come": {
			stash: []arrival{unkept(5, 1002)}, page: []wire.Position{at(1, 2), at(1, 3)},
			want: []wire.Position{noOrder, at(1, 2), at(1, 3)},
		},
		"and after what is older": {
			stash: []arrival{unkept(5, 1003)}, page: []wire.Position{at(1, 2), at(1, 3)},
			want: []wire.Position{at(1, 2), noOrder, at(1, 3)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := bench(at(1, 1))
			for _, a := range c.stash {
				r.stow(a)
			}
			job, ok := r.beginRead()
			if !ok || job.since != at(1, 1) {
				t.Fatalf("reads %+v, %v", job, ok)
			}
			for _, a := range c.fresh {
				r.stow(a)
			}
			var page broker.Page
			for _, pos := range c.page {
				page.Publications = append(page.Publications, pub(pos))
				page.Top = pos
			}
			if !r.endRead(job, page) {
				t.Fatal("the page does not follow")
			}
			if got := r.handed(); !equal(got, c.want) || r.behind != c.behind {
				t.Errorf("handed on %v, want %v; behind: %v", got, c.want, r.behind)
			}
			if !r.behind && (r.stashed != 0 || r.unkept != 0 || r.b.waiting.Load() != r.pending) {
				t.Errorf("%d stashed, %d waiting, %d pending", r.stashed, r.b.waiting.Load(), r.pending)
			}
		})
	}
}

func TestAStashThatIsTooLargeIsDroppedAndTheLogReadAgain(t *testing.T) {
	r := bench(at(1, 1))
	job, _ := r.beginRead()
	big := entry(at(1, 3))
	big.pub.Data = make([]byte, r.b.cfg.HandoffBytes/2)
	r.stow(unkept(5, 1002))
	r.stow(big)
	r.stow(big)
	if len(r.stash) != 0 || !r.missed || !r.lost || r.b.waiting.Load() != 0 {
		t.Fatalf("%d stashed, missed %v, lost %v", len(r.stash), r.missed, r.lost)
	}
	if !r.endRead(job, broker.Page{Publications: []*wire.Publication{pub(at(1, 2))}, Top: at(1, 2)}) || !r.behind {
		t.Fatal("the log is not read again")
	}
	job, _ = r.beginRead()
	if !r.endRead(job, broker.Page{Top: at(1, 2)}) || r.behind || r.lost {
		t.Error("the room stays behind")
	}
	if got := r.handed(); !equal(got, []wire.Position{at(1, 2), at(1, 2)}) {
		t.Errorf("handed on %v, want an entry and a gap", got)
	}
}

func TestAPageThatDoesNotFollowIsNotHandedOn(t *testing.T) {
	for name, page := range map[string]broker.Page{
		"a hole":                   {Publications: []*wire.Publication{pub(at(1, 3))}, Top: at(1, 3)},
		"nothing, but a later top": {Top: at(1, 9)},
	} {
		r := bench(at(1, 1))
		job, _ := r.beginRead()
		if r.endRead(job, page) || r.queue.Len() != 0 {
			t.Errorf("%s is handed on", name)
		}
	}
}

func TestGapsThatWaitLeadToTheNewestEpoch(t *testing.T) {
	r := bench(at(1, 1))
	r.tell(wire.Gap{Reason: reasonEpoch, Top: at(2, 0)})
	r.tell(wire.Gap{Reason: reasonLost, Top: at(3, 7)})
	r.tell(wire.Gap{Reason: reasonLost, Top: at(3, 9)})
	if got := r.handed(); !equal(got, []wire.Position{at(3, 7), at(3, 7), at(3, 9)}) {
		t.Errorf("gaps lead to %v", got)
	}
}
