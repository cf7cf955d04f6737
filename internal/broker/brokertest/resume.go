package brokertest

import (
	"errors"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// resumes checks that since is honoured and is followed by the offsets from,
// from+1, … to.
func (r *rig) resumes(since wire.Position, from, to uint64) {
	r.Helper()
	r.wantOffsets(r.page(since, broker.NoLimit).Publications, from, to)
}

// refused checks that since is refused for a reason, with the top alone,
// whatever the limit.
func (r *rig) refused(since wire.Position, reason string) {
	r.Helper()
	top := r.top()
	for _, limit := range []int{broker.NoLimit, 0, 1} {
		page, err := r.b.History(r.Context(), room, since, limit)
		var refusal *broker.InsufficientStateError
		switch {
		case !errors.As(err, &refusal):
			r.Errorf("since %v, limit %d: error %v, want %s", since, limit, err, reason)
		case refusal.Reason != reason:
			r.Errorf("since %v, limit %d: reason %s, want %s", since, limit, refusal.Reason, reason)
		case len(page.Publications) != 0 || page.Top != top:
			r.Errorf("since %v, limit %d: refused with %d publications, top %v", since, limit, len(page.Publications), page.Top)
		}
	}
}

func with(p wire.Position, change func(*wire.Position)) wire.Position {
	change(&p)
	return p
}

func otherEpoch(p *wire.Position) { p.Epoch ^= 1 << 20 }
func otherNonce(p *wire.Position) { p.Nonce ^= 1 << 20 }
func ahead(p *wire.Position)      { p.Offset++ }

func testResume(t *testing.T, h Harness) {
	five := broker.Retention{Size: 5, Age: time.Hour}
	h.ask(t, []question{
		{"from an empty room", Settings{}, func(r *rig) {
			empty := r.top()
			r.resumes(empty, 1, 0)
			r.fill(3, kept)
			r.resumes(empty, 1, 3)
		}},
		{"an empty room refuses what is not its beginning", Settings{}, func(r *rig) {
			empty := r.top()
			r.refused(with(empty, otherEpoch), "epoch_changed")
			r.refused(with(empty, ahead), "ahead")
			r.refused(with(empty, otherNonce), "entry_changed")
		}},
		{"from the beginning, each entry and the top, while nothing is trimmed", Settings{}, func(r *rig) {
			for i, p := range r.fill(5, five) {
				r.resumes(p, uint64(i)+1, 5)
			}
		}},
		{"exactly at the trim edge", Settings{}, func(r *rig) {
			p := r.fill(8, five)
			r.refused(p[0], "trimmed")
			r.refused(p[2], "trimmed")
			r.resumes(p[3], 4, 8) // the last trimmed entry
			r.resumes(p[4], 5, 8) // the oldest kept
			r.refused(with(p[3], otherNonce), "entry_changed")
		}},
		{"the beginning is refused once one entry is trimmed", Settings{}, func(r *rig) {
			one := broker.Retention{Size: 1, Age: time.Hour}
			p := r.fill(1, one)
			r.resumes(p[0], 1, 1)
			r.publish(r.draft(room, one))
			r.refused(p[0], "trimmed")
			r.resumes(p[1], 2, 2)
		}},
		{"other nonces, other epochs and positions ahead are refused", Settings{}, func(r *rig) {
			p := r.fill(5, five)
			for _, at := range p {
				r.refused(with(at, otherEpoch), "epoch_changed")
				r.refused(with(at, otherNonce), "entry_changed")
			}
			r.refused(with(p[5], ahead), "ahead")
			r.refused(wire.Position{Epoch: p[5].Epoch, Offset: 1<<53 - 1, Nonce: p[5].Nonce}, "ahead")
			r.refused(wire.Position{Epoch: p[5].Epoch, Offset: 1<<64 - 1, Nonce: p[5].Nonce}, "ahead")
		}},
		{"another room's position is refused", Settings{}, func(r *rig) {
			p := r.publish(r.draft("other", kept))
			r.fill(3, kept)
			r.refused(p, "epoch_changed")
		}},
		{"an idle room whose entries have expired", Settings{}, func(r *rig) {
			keep := broker.Retention{Size: 5, Age: r.age}
			p := r.fill(3, keep)
			time.Sleep(r.age + r.age/5)
			if top := r.top(); top != p[3] {
				r.Errorf("top %v, want %v", top, p[3])
			}
			r.resumes(wire.Position{}, 1, 0)
			r.resumes(p[3], 1, 0)
			r.refused(p[2], "expired")
			r.refused(p[0], "expired")
			r.refused(with(p[3], otherNonce), "entry_changed")
			r.refused(with(p[3], ahead), "ahead")
			if next := r.publish(r.draft(room, keep)); next.Offset != 4 || next.Epoch != p[3].Epoch {
				r.Errorf("went on at %v after %v", next, p[3])
			}
			r.resumes(p[3], 4, 4)
		}},
		{"at the edge of what has expired", Settings{}, func(r *rig) {
			keep := broker.Retention{Size: 5, Age: r.age}
			for late := true; late; {
				old := r.fill(2, keep)
				time.Sleep(r.age * 6 / 10)
				began := time.Now()
				r.fill(2, keep)
				time.Sleep(r.age * 6 / 10)
				page, err := r.b.History(r.Context(), room, old[2], broker.NoLimit)
				r.refused(old[0], "expired")
				r.refused(old[1], "expired")
				if late = r.late(began); late {
					continue
				}
				if err != nil {
					r.Errorf("since %v: %v", old[2], err)
				}
				r.wantOffsets(page.Publications, old[2].Offset+1, old[2].Offset+2)
			}
		}},
		{"a room without history has a position that stays", Settings{}, func(r *rig) {
			top := r.top()
			r.publish(r.draft(room, broker.Retention{}))
			r.resumes(top, 1, 0)
		}},
	})
}
