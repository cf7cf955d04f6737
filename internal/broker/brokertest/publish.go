package brokertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func testPublish(t *testing.T, h Harness) {
	h.ask(t, []question{
		{"offsets rise by one and the epoch stays", Settings{}, func(r *rig) {
			r.subscribe(room)
			positions := r.fill(10, kept)
			for i, p := range positions {
				if p.Epoch == 0 || p.Epoch != positions[0].Epoch || p.Offset != uint64(i) {
					r.Errorf("position %d is %v", i, p)
				}
				if (p.Nonce != 0) != (i > 0) {
					r.Errorf("offset %d has nonce %d", p.Offset, p.Nonce)
				}
			}
			for i, p := range r.sink.Pubs(room, 10) {
				if p.Position != positions[i+1] {
					r.Errorf("delivered at %v what was published at %v", p.Position, positions[i+1])
				}
			}
		}},
		{"the publication arrives as it was given, and so it is kept", Settings{}, func(r *rig) {
			r.subscribe(room)
			p := r.draft(room, kept)
			p.Origin, p.ConflateKey, p.NoEcho, p.IdempotencyKey = "conn", "price", true, "key"
			p.Position.Nonce = 4711
			pos := r.publish(p)
			if pos.Nonce != 4711 {
				r.Errorf("the nonce became %d", pos.Nonce)
			}
			for where, got := range map[string]*wire.Publication{
				"delivered": r.sink.Pubs(room, 1)[0],
				"kept":      r.page(wire.Position{}, broker.NoLimit).Publications[0],
			} {
				if age := time.Since(time.UnixMilli(got.Time)).Abs(); age > time.Minute {
					r.Errorf("%s: published at %v", where, time.UnixMilli(got.Time))
				}
				if got.Position != pos || got.Room != room || got.Event != p.Event || string(got.Data) != string(p.Data) ||
					got.Publisher != "ann" || got.Origin != "conn" || got.ConflateKey != "price" || !got.NoEcho {
					r.Errorf("%s: %+v", where, *got)
				}
			}
		}},
		{"a publication without data arrives without, and so it is kept", Settings{}, func(r *rig) {
			r.subscribe(room)
			p := r.draft(room, kept)
			p.Data = nil
			r.publish(p)
			for where, got := range map[string]*wire.Publication{
				"delivered": r.sink.Pubs(room, 1)[0],
				"kept":      r.page(wire.Position{}, broker.NoLimit).Publications[0],
			} {
				if got.Data != nil {
					r.Errorf("%s: %q", where, got.Data)
				}
			}
		}},
		{"rooms have orders of their own", Settings{}, func(r *rig) {
			a, b := r.publish(r.draft("a", kept)), r.publish(r.draft("b", kept))
			if a.Offset != 1 || b.Offset != 1 || a.Epoch == b.Epoch {
				r.Errorf("positions %v and %v", a, b)
			}
		}},
		{"a room without history has the zero position, keeps nothing and delivers with the publisher's nonce", Settings{}, func(r *rig) {
			r.subscribe(room)
			for range 3 {
				p := r.draft(room, broker.Retention{})
				p.Position.Nonce = 4711
				if pos := r.publish(p); !pos.IsZero() {
					r.Errorf("position %v", pos)
				}
			}
			for i, p := range r.sink.Pubs(room, 3) {
				if p.Position != (wire.Position{Nonce: 4711}) || string(p.Data) != []string{`{"n":1}`, `{"n":2}`, `{"n":3}`}[i] {
					r.Errorf("delivery %d: %s at %v", i, p.Data, p.Position)
				}
			}
			page := r.page(wire.Position{}, broker.NoLimit)
			if len(page.Publications) != 0 || page.Top.Offset != 0 {
				r.Errorf("kept %d, top %v", len(page.Publications), page.Top)
			}
		}},
		{"a room that stops keeping history begins a new epoch, and says so", Settings{}, func(r *rig) {
			r.subscribe(room)
			old := r.fill(2, kept)[2]
			r.publish(r.draft(room, broker.Retention{}))
			r.refused(old, "epoch_changed")
			pos := r.publish(r.draft(room, kept))
			if pos.Offset != 1 || pos.Epoch == old.Epoch {
				r.Errorf("went on at %v after %v", pos, old)
			}
			r.wantGapBetweenEpochs()
		}},
	})
}

// wantGapBetweenEpochs waits for the rig's latest draft and checks that no two
// publications of different epochs stand without a gap that leads to the second.
func (r *rig) wantGapBetweenEpochs() {
	r.Helper()
	var epoch, gap uint64
	for _, e := range r.sink.Until(room, fmt.Sprintf(`{"n":%d}`, r.made)) {
		switch {
		case e.Gap != nil:
			gap = e.Gap.Top.Epoch
		case e.Pub.Position.Offset == 0:
		case epoch != 0 && epoch != e.Pub.Position.Epoch && gap != e.Pub.Position.Epoch:
			r.Errorf("epoch %d follows %d without a gap", e.Pub.Position.Epoch, epoch)
		default:
			epoch = e.Pub.Position.Epoch
		}
	}
}

func testNonces(t *testing.T, h Harness) {
	twice := func(r *rig, keep broker.Retention) {
		r.subscribe(room)
		p := r.draft(room, keep)
		p.Position.Nonce = 4711
		first := r.publish(p)
		if again := r.publish(p); again != first {
			r.Errorf("first %v, then %v", first, again)
		}
		if after := r.publish(r.draft(room, keep)); after.Offset != first.Offset+1 {
			r.Errorf("%v followed %v", after, first)
		}
		if pubs := r.sink.Pubs(room, 2); string(pubs[1].Data) != `{"n":2}` {
			r.Error("delivered twice")
		}
	}
	h.ask(t, []question{
		{"a repeated attempt has the same result and is delivered once", Settings{}, func(r *rig) { twice(r, kept) }},
		{"in a room that keeps one entry too", Settings{}, func(r *rig) { twice(r, broker.Retention{Size: 1, Age: time.Hour}) }},
		{"after others have published", Settings{}, func(r *rig) {
			p := r.draft(room, kept)
			p.Position.Nonce = 4711
			first := r.publish(p)
			r.fill(10, kept)
			if again := r.publish(p); again != first {
				r.Errorf("first %v, then %v", first, again)
			}
			if top := r.top(); top.Offset != 11 {
				r.Errorf("top %v", top)
			}
		}},
		{"the same nonce in another room is another attempt", Settings{}, func(r *rig) {
			for _, room := range []string{"a", "b"} {
				r.subscribe(room)
				p := r.draft(room, kept)
				p.Position.Nonce = 4711
				r.publish(p)
				r.sink.Pubs(room, 1)
			}
		}},
	})
}
