package brokertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func testDelivery(t *testing.T, h Harness) {
	narrow := Settings{HandoffBytes: 16 << 10}
	h.ask(t, []question{
		{"what is published after Subscribe returned is delivered", Settings{}, func(r *rig) {
			for i := range 50 {
				room := fmt.Sprintf("room-%d", i)
				r.subscribe(room)
				pos := r.publish(r.draft(room, kept))
				if got := r.sink.Pubs(room, 1)[0]; got.Position != pos {
					r.Errorf("published at %v, delivered at %v", pos, got.Position)
				}
			}
		}},
		{"a subscription can end and begin again", Settings{}, func(r *rig) {
			for range 10 {
				r.subscribe(room)
				r.publish(r.draft(room, kept))
				r.sink.Until(room, fmt.Sprintf(`{"n":%d}`, r.made))
				if err := r.b.Unsubscribe(r.Context(), room); err != nil {
					r.Fatal(err)
				}
				r.publish(r.draft(room, kept))
			}
			if top := r.top(); top.Offset != 20 {
				r.Errorf("top %v", top)
			}
		}},
		{"concurrent publishes to several rooms come in order, one call per room", Settings{}, askOrder},
		{"a Sink that stalls makes Publish wait within its context and loses nothing", narrow, askStall},
		{"a publish that waits goes on with the Sink", narrow, func(r *rig) {
			r.subscribe(room)
			goOn := r.sink.Stall(room)
			acked := r.jam()
			published := make(chan wire.Position)
			go func() {
				p := r.draft(room, kept)
				p.Data = []byte(`"waited"`)
				published <- r.publish(p)
			}()
			goOn()
			pos := <-published
			events := r.sink.Until(room, `"waited"`)
			if last := events[len(events)-1].Pub; last.Position != pos || len(events) <= len(acked) {
				r.Errorf("published at %v, delivered %d and then at %v", pos, len(events)-1, last.Position)
			}
		}},
		{"what is stored can be read, and repeated, while the Sink stalls", narrow, func(r *rig) {
			r.subscribe(room)
			goOn := r.sink.Stall(room)
			p := r.keyed(room, "ann", "key", `1`, kept)
			first := r.publish(p)
			acked := r.jam()
			if again := r.publish(p); again != first {
				r.Errorf("first %v, then %v", first, again)
			}
			if n := len(r.page(first, broker.NoLimit).Publications); n < len(acked) {
				r.Errorf("%d of %d can be read", n, len(acked))
			}
			goOn()
		}},
	})
}

// askOrder publishes from several goroutines to several rooms.
func askOrder(r *rig) {
	const rooms, publishers, each = 5, 4, 50
	var wg sync.WaitGroup
	for i := range rooms {
		name := fmt.Sprintf("room-%d", i)
		r.subscribe(name)
		for j := range publishers {
			wg.Go(func() {
				for k := range each {
					p := broker.Publication{Retention: broker.Retention{Size: publishers * each}}
					p.Room, p.Event, p.Publisher, p.Data = name, "said", fmt.Sprint(j), fmt.Append(nil, k)
					if _, err := r.b.Publish(r.Context(), p); err != nil {
						r.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for i := range rooms {
		next := make(map[string]int)
		pubs := r.sink.Pubs(fmt.Sprintf("room-%d", i), publishers*each)
		r.wantOffsets(pubs, 1, publishers*each)
		for _, p := range pubs {
			if string(p.Data) != fmt.Sprint(next[p.Publisher]) {
				r.Fatalf("publisher %s: %s instead of %d", p.Publisher, p.Data, next[p.Publisher])
			}
			next[p.Publisher]++
		}
	}
}

// jam publishes until a publish runs out of time, and returns what was
// acknowledged. The Sink stalls.
func (r *rig) jam() []string {
	r.Helper()
	var acked []string
	for range 10_000 {
		p := r.draft(room, broker.Retention{Size: 10_000})
		ctx, cancel := context.WithTimeout(r.Context(), r.age/10)
		_, err := r.b.Publish(ctx, p)
		cancel()
		if wire.IsCode(err, wire.Unavailable) {
			return acked
		}
		if err != nil {
			r.Fatalf("error %v", err)
		}
		acked = append(acked, string(p.Data))
	}
	r.Fatal("10,000 publishes did not wait for a Sink that stalls")
	return nil
}

func askStall(r *rig) {
	r.subscribe(room)
	goOn := r.sink.Stall(room)
	acked := r.jam()
	goOn()
	p := r.draft(room, broker.Retention{Size: 10_000})
	r.publish(p)
	acked = append(acked, string(p.Data))
	seen := make(map[string]int)
	var order []string
	for i, e := range r.sink.Until(room, string(p.Data)) {
		if e.Gap != nil || e.Pub.Position.Offset != uint64(i)+1 {
			r.Fatalf("event %d: %+v", i, e)
		}
		data := string(e.Pub.Data)
		seen[data]++
		if slices.Contains(acked, data) {
			order = append(order, data)
		}
	}
	if !slices.Equal(order, acked) {
		r.Errorf("acknowledged %v, delivered %v", acked, order)
	}
	for data, n := range seen {
		if n > 1 {
			r.Errorf("%s was delivered %d times", data, n)
		}
	}
}

func testContexts(t *testing.T, h Harness) {
	for name, call := range map[string]func(context.Context, *rig) error{
		"Publish": func(ctx context.Context, r *rig) error {
			_, err := r.b.Publish(ctx, r.draft(room, kept))
			return err
		},
		"Subscribe": func(ctx context.Context, r *rig) error { return r.b.Subscribe(ctx, room) },
		"History": func(ctx context.Context, r *rig) error {
			_, err := r.b.History(ctx, room, wire.Position{}, broker.NoLimit)
			return err
		},
	} {
		h.ask(t, []question{
			{name + " with a context that has ended is unavailable", Settings{}, func(r *rig) {
				ctx, cancel := context.WithCancel(r.Context())
				cancel()
				if err := call(ctx, r); !wire.IsCode(err, wire.Unavailable) {
					r.Errorf("error %v", err)
				}
			}},
			{name + " past its deadline is unavailable", Settings{}, func(r *rig) {
				ctx, cancel := context.WithDeadline(r.Context(), time.Now().Add(-time.Second))
				defer cancel()
				if err := call(ctx, r); !wire.IsCode(err, wire.Unavailable) {
					r.Errorf("error %v", err)
				}
			}},
		})
	}
}
