package brokertest

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func testNodes(t *testing.T, h Harness) {
	if h.Nodes < 2 {
		t.Skip("the broker has one node")
	}
	h.ask(t, []question{
		{"what one node publishes the other delivers, in one order", Settings{}, func(r *rig) {
			other, sink := r.second()
			r.subscribe(room)
			if err := other.Subscribe(r.Context(), room); err != nil {
				r.Fatal(err)
			}
			for i := range 20 {
				b := []broker.Broker{r.b, other}[i%2]
				if pos, err := b.Publish(r.Context(), r.draft(room, kept)); err != nil || pos.Offset != uint64(i)+1 {
					r.Errorf("publish %d: %v, %v", i, pos, err)
				}
			}
			here, there := r.sink.Pubs(room, 20), sink.Pubs(room, 20)
			for i := range here {
				if here[i].Position != there[i].Position || string(here[i].Data) != string(there[i].Data) {
					r.Errorf("delivered %s and %s", here[i].Data, there[i].Data)
				}
			}
		}},
		{"a position of one node resumes on the other", Settings{}, func(r *rig) {
			other, _ := r.second()
			for i, p := range r.fill(5, kept) {
				page, err := other.History(r.Context(), room, p, broker.NoLimit)
				if err != nil {
					r.Fatalf("resume from %v: %v", p, err)
				}
				r.wantOffsets(page.Publications, uint64(i)+1, 5)
			}
		}},
		{"a publish repeated on the other node is delivered once", Settings{}, func(r *rig) {
			other, _ := r.second()
			r.subscribe(room)
			p := r.keyed(room, "ann", "key", `1`, kept)
			first := r.publish(p)
			if again, err := other.Publish(r.Context(), p); err != nil || again != first {
				r.Errorf("first %v, then %v, %v", first, again, err)
			}
			p.Data = []byte(`2`)
			if _, err := other.Publish(r.Context(), p); !wire.IsCode(err, wire.Conflict) {
				r.Errorf("error %v", err)
			}
			r.wantNext(`1`, kept)
		}},
	})
}

// second starts another node on the rig's store.
func (r *rig) second() (broker.Broker, *Recorder) {
	sink := NewRecorder(r.T)
	return r.start(sink), sink
}
