package brokertest

import (
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func (r *rig) keyed(room, publisher, key, data string, keep broker.Retention) broker.Publication {
	p := r.draft(room, keep)
	p.Publisher, p.IdempotencyKey = publisher, key
	p.Data = []byte(data)
	return p
}

func testKeys(t *testing.T, h Harness) {
	h.ask(t, append([]question{
		{"a repeat has the first result and is delivered once", Settings{}, func(r *rig) {
			r.subscribe(room)
			p := r.keyed(room, "ann", "key", `1`, kept)
			first := r.publish(p)
			for range 3 {
				p.Position.Nonce++ // another attempt of the same publish
				if again := r.publish(p); again != first {
					r.Errorf("first %v, then %v", first, again)
				}
			}
			r.wantNext(`1`, kept)
		}},
		{"a repeat in a room without history too", Settings{}, func(r *rig) {
			r.subscribe(room)
			for range 3 {
				if pos := r.publish(r.keyed(room, "ann", "key", `1`, broker.Retention{})); !pos.IsZero() {
					r.Errorf("position %v", pos)
				}
			}
			r.wantNext(`1`, broker.Retention{})
		}},
		{"a repeat after the entry was trimmed", Settings{}, func(r *rig) {
			two := broker.Retention{Size: 2, Age: time.Hour}
			first := r.publish(r.keyed(room, "ann", "key", `1`, two))
			r.fill(5, two)
			if again := r.publish(r.keyed(room, "ann", "key", `1`, two)); again != first {
				r.Errorf("first %v, then %v", first, again)
			}
		}},
		{"a key can be used again after its time", Settings{IdempotencyTTL: time.Second}, func(r *rig) {
			first := r.publish(r.keyed(room, "ann", "key", `1`, kept))
			time.Sleep(time.Second + 100*time.Millisecond)
			if again := r.publish(r.keyed(room, "ann", "key", `2`, kept)); again.Offset != first.Offset+1 {
				r.Errorf("first %v, then %v", first, again)
			}
		}},
		{"a publish that failed does not use its key up", Settings{}, func(r *rig) {
			r.publish(r.keyed(room, "ann", "key", `1`, kept))
			if _, err := r.b.Publish(r.Context(), r.keyed(room, "ann", "key", `2`, kept)); !wire.IsCode(err, wire.Conflict) {
				r.Fatalf("error %v", err)
			}
			if again := r.publish(r.keyed(room, "ann", "key", `1`, kept)); again.Offset != 1 {
				r.Errorf("the repeat went to %v", again)
			}
		}},
		{"concurrent repeats are one publication", Settings{}, func(r *rig) {
			r.subscribe(room)
			p := r.keyed(room, "ann", "key", `1`, kept)
			results := make(chan wire.Position, 8)
			for range cap(results) {
				go func() {
					pos, err := r.b.Publish(r.Context(), p)
					if err != nil {
						r.Error(err)
					}
					results <- pos
				}()
			}
			for range cap(results) {
				if pos := <-results; pos.Offset != 1 {
					r.Errorf("position %v", pos)
				}
			}
			r.wantNext(`1`, kept)
		}},
	}, keyScopes()...))
}

// keyScopes asks what a second publish with the key "key" by ann to the room is
// when one thing differs.
func keyScopes() []question {
	var questions []question
	for name, c := range map[string]struct {
		change   func(*broker.Publication)
		conflict bool
	}{
		"other data is a conflict":             {func(p *broker.Publication) { p.Data = []byte(`2`) }, true},
		"another event is a conflict":          {func(p *broker.Publication) { p.Event = "other" }, true},
		"another conflate key is a conflict":   {func(p *broker.Publication) { p.ConflateKey = "other" }, true},
		"another key is another publish":       {func(p *broker.Publication) { p.IdempotencyKey = "other" }, false},
		"another publisher's key is another":   {func(p *broker.Publication) { p.Publisher = "bob" }, false},
		"the key in another room is another":   {func(p *broker.Publication) { p.Room = "other" }, false},
		"fields do not run into another":       {func(p *broker.Publication) { p.Publisher, p.IdempotencyKey = "annk", "ey" }, false},
		"a publish without key is another one": {func(p *broker.Publication) { p.IdempotencyKey = "" }, false},
	} {
		for history, keep := range map[string]broker.Retention{"with": kept, "without": {}} {
			questions = append(questions, question{name + ", " + history + " history", Settings{}, func(r *rig) {
				r.subscribe(room)
				r.subscribe("other")
				r.publish(r.keyed(room, "ann", "key", `1`, keep))
				p := r.keyed(room, "ann", "key", `1`, keep)
				c.change(&p)
				pos, err := r.b.Publish(r.Context(), p)
				if c.conflict {
					if !wire.IsCode(err, wire.Conflict) || !pos.IsZero() {
						r.Errorf("%v, error %v", pos, err)
					}
					r.wantNext(`1`, keep)
					return
				}
				if err != nil {
					r.Fatal(err)
				}
				nth := 1
				if p.Room == room {
					nth = 2
				}
				got := r.sink.Pubs(p.Room, nth)[nth-1]
				if got.Position != pos && keep.Keeps() || (pos.Offset > 0) != keep.Keeps() {
					r.Errorf("published at %v, delivered at %v", pos, got.Position)
				}
			}})
		}
	}
	return questions
}

// wantNext publishes one more to the room and checks that it was delivered right
// after data, the only one before.
func (r *rig) wantNext(data string, keep broker.Retention) {
	r.Helper()
	r.publish(r.keyed(room, "ann", "", `"end"`, keep))
	var got []string
	for _, e := range r.sink.Until(room, `"end"`) {
		if e.Pub != nil {
			got = append(got, string(e.Pub.Data))
		}
	}
	if len(got) != 2 || got[0] != data {
		r.Errorf("delivered %v", got)
	}
}
