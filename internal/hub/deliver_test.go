package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestEverybodyGetsTheSameFrame(t *testing.T) {
	r := start(t)
	defer r.stop()
	a, b, other := r.user("ann"), r.user("bob"), r.user("cid")
	a.join("quiet", wire.Position{})
	b.join("quiet", wire.Position{})
	other.join("quiet2", wire.Position{})
	a.Sent()
	b.Sent()
	other.Sent()
	r.deliver(pub("quiet", 1, 1), pub("quiet", 1, 2))
	fa, fb := a.Sent(), b.Sent()
	if len(fa) != 2 || len(fb) != 2 || fa[0] != fb[0] || fa[1] != fb[1] {
		t.Errorf("%d and %d frames", len(fa), len(fb))
	}
	other.expect()
	r.hub.Deliver("quiet", nil)
	r.deliver(pub("nobody's", 1, 1))
	if st := r.hub.Stats(); st.Delivered != 4 || r.pacer.n != 2 {
		t.Errorf("%+v, paced %d times", st, r.pacer.n)
	}
}

func TestFramesCarryTheSlowPolicyOfTheirRoom(t *testing.T) {
	r := start(t)
	defer r.stop()
	a := r.user("ann")
	for room, want := range map[string]wire.SlowPolicy{"x": wire.SlowDropOldest, "quiet": wire.SlowDisconnect, "unknown": wire.SlowDisconnect} {
		a.join(room, wire.Position{})
		a.Sent()
		p := pub(room, 1, 1)
		p.ConflateKey = "k"
		r.deliver(p)
		if f := a.Sent(); len(f) != 1 || f[0].Slow != want || f[0].Room != room || f[0].Position.Offset != 1 || f[0].ConflateKey != "k" {
			t.Errorf("%s: %+v", room, f)
		}
	}
	r.hub.Deliver(wire.Everyone, []*wire.Publication{{Room: wire.Everyone, Event: "all"}})
	if f := a.Sent(); len(f) != 1 || f[0].Slow != wire.SlowDisconnect {
		t.Errorf("everyone: %+v", f)
	}
}

func TestEveryoneIsWhoHasAnIdentity(t *testing.T) {
	r := start(t)
	defer r.stop()
	a, b, nobody := r.user("ann"), r.user("bob"), r.user("")
	r.hub.Deliver(wire.Everyone, []*wire.Publication{{Room: wire.Everyone, Event: "all"}})
	a.expect("all")
	b.expect("all")
	nobody.expect()
	if st := r.hub.Stats(); st.Delivered != 2 {
		t.Errorf("%+v", st)
	}
}

// under begins a publish of a member.
func (m *member) under(id, room string, nonce uint64) {
	m.s.BeginPublish(&session.Publish{Nonce: nonce, Room: room, ID: []byte(id)})
}

func TestACopyRepliesToItsPublishFirst(t *testing.T) {
	const copy5, copied = `{"event":"e",`, `{"event":"live",`
	const reply5 = `{"event":"published","id":1,"data":{"room":"quiet","offset":5,"pos":"AAAAAAAB.5.AAAAAAPt"}}`
	kept, live := pub("quiet", 1, 5), &wire.Publication{Room: "quiet", Event: "live", Position: wire.Position{Nonce: 77}}
	for name, c := range map[string]struct {
		nonce uint64
		p     *wire.Publication
		quiet bool
		want  []string
	}{
		"with history":                    {1005, kept, false, []string{reply5, copy5}},
		"with history, no echo":           {1005, kept, true, []string{reply5}},
		"without history":                 {77, live, false, []string{`{"event":"published","id":1,"data":{"room":"quiet"}}`, copied}},
		"without history, no echo":        {77, live, true, []string{`{"event":"published","id":1,"data":{"room":"quiet"}}`}},
		"an earlier one":                  {1006, kept, false, []string{copy5}},
		"an earlier one, without history": {78, live, false, []string{copied}},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			defer r.stop()
			a, b := r.user("ann"), r.user("bob")
			a.join("quiet", wire.Position{})
			b.join("quiet", wire.Position{})
			a.Sent()
			b.Sent()
			p := *c.p
			p.Origin, p.NoEcho = a.s.ID(), c.quiet
			a.under("1", "quiet", c.nonce)
			r.deliver(&p)
			var got []string
			for _, f := range a.Sent() {
				got = append(got, string(f.Payload()))
			}
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			if n := len(b.Sent()); n != 1 {
				t.Errorf("the other got %d", n)
			}
			// The mark is gone: the next batch goes the quick way.
			r.deliver(pub("quiet", 1, 9))
			a.expect("e 1.9")
		})
	}
}

func TestOriginsElsewhereAreNobodyHere(t *testing.T) {
	r := start(t)
	defer r.stop()
	a, out := r.user("ann"), r.user("out")
	a.join("quiet", wire.Position{})
	a.Sent()
	for _, origin := range []string{"gone", out.s.ID()} {
		p := pub("quiet", 1, 1)
		p.Origin, p.NoEcho = origin, true
		r.deliver(p)
		a.expect("e 1.1")
	}
	out.expect()
}

func TestGaps(t *testing.T) {
	joinAt := wire.Position{Epoch: 1, Offset: 5}
	gap := func(reason string, from, epoch, top uint64) wire.Gap {
		return wire.Gap{Reason: reason, From: from, Top: wire.Position{Epoch: epoch, Offset: top, Nonce: 1}}
	}
	said := func(reason string, from, epoch, top uint64) string {
		pos := wire.Position{Epoch: epoch, Offset: top, Nonce: 1}
		return fmt.Sprintf(`gap {"room":"quiet","reason":%q,"from":%d,"offset":%d,"pos":%q}`, reason, from, top, pos)
	}
	for name, c := range map[string]struct {
		gap  wire.Gap
		next *wire.Publication
		want []string
	}{
		"another epoch":                      {gap("epoch_changed", 5, 2, 0), pub("quiet", 2, 1), []string{said("epoch_changed", 5, 2, 0), "e 2.1"}},
		"another epoch, what came before it": {gap("history_lost", 5, 2, 0), pub("quiet", 1, 6), []string{said("history_lost", 5, 2, 0)}},
		"one behind which the member joined": {gap("epoch_changed", 7, 2, 0), nil, []string{said("epoch_changed", 5, 2, 0)}},
		"one before which the member joined": {gap("epoch_changed", 3, 2, 0), nil, []string{said("epoch_changed", 5, 2, 0)}},
		"a hole ahead":                       {gap("overflow", 5, 1, 9), pub("quiet", 1, 10), []string{said("overflow", 5, 1, 9), "e 1.10"}},
		"a hole ahead, late entries of it":   {gap("overflow", 5, 1, 9), pub("quiet", 1, 8), []string{said("overflow", 5, 1, 9)}},
		"a hole behind the join":             {gap("overflow", 2, 1, 5), pub("quiet", 1, 6), []string{"e 1.6"}},
		"the beginning of the join's epoch":  {gap("epoch_changed", 0, 1, 0), pub("quiet", 1, 6), []string{"e 1.6"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			defer r.stop()
			r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
				return broker.Page{Top: joinAt}, nil
			}
			a := r.user("ann")
			a.join("quiet", wire.Position{})
			a.Sent()
			r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
				return broker.Page{Top: c.gap.Top}, nil
			}
			r.hub.Gap("nobody's", c.gap)
			r.hub.Gap("quiet", c.gap)
			if c.next != nil {
				r.deliver(c.next)
			}
			a.expect(c.want...)
			if st := r.hub.Stats(); st.Gaps != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// A member that joined in the present epoch has nothing to do with what is
// still said of earlier ones.
func TestGapsOfEpochsBeforeTheJoin(t *testing.T) {
	r := start(t)
	defer r.stop()
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
		return broker.Page{Top: wire.Position{Epoch: 3, Offset: 5}}, nil
	}
	a := r.user("ann")
	a.join("quiet", wire.Position{})
	a.expect("joined quiet at 3.5")
	r.hub.Gap("quiet", wire.Gap{Reason: "history_lost", Top: wire.Position{Epoch: 2}})
	r.deliver(pub("quiet", 2, 1), pub("quiet", 2, 2))
	r.hub.Gap("quiet", wire.Gap{Reason: "history_lost", From: 2, Top: wire.Position{Epoch: 3}})
	r.deliver(pub("quiet", 3, 4), pub("quiet", 3, 5), pub("quiet", 3, 6))
	a.expect("e 3.6")

	// When the present epoch cannot be found out, too much is said, not too little.
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) { return broker.Page{}, errAway }
	r.hub.Gap("quiet", wire.Gap{Reason: "history_lost", Top: wire.Position{Epoch: 4}})
	r.deliver(pub("quiet", 4, 1))
	a.expect(`gap {"room":"quiet","reason":"history_lost","from":0,"offset":0,"pos":"AAAAAAAE.0.AAAAAAAA"}`, "e 4.1")
}

// Publications with and without a position, and of two epochs, may come in one
// batch.
func TestABatchOfManyKinds(t *testing.T) {
	r := start(t)
	defer r.stop()
	a := r.user("ann")
	a.join("quiet", wire.Position{})
	a.Sent()
	r.deliver(&wire.Publication{Room: "quiet", Event: "live"}, pub("quiet", 1, 1), pub("quiet", 2, 1))
	a.expect("live", "e 1.1")
}

func BenchmarkDeliver(b *testing.B) {
	const members = 1000
	for _, size := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("batch of %d", size), func(b *testing.B) {
			r := start(b)
			defer r.stop()
			for n := range members {
				m := r.connect(fmt.Sprint("u", n), pipe.NewDiscard)
				if err := r.hub.Join(b.Context(), m.s, "quiet", wire.Position{}, reply); err != nil {
					b.Fatal(err)
				}
			}
			batch := make([]*wire.Publication, size)
			for i := range batch {
				batch[i] = pub("quiet", 1, uint64(i+1))
				batch[i].Data = make([]byte, 100)
			}
			allocs := testing.AllocsPerRun(10, func() { r.hub.Deliver("quiet", batch) })
			for b.Loop() {
				r.hub.Deliver("quiet", batch)
			}
			deliveries := float64(b.N) * members * float64(size)
			b.ReportMetric(float64(b.Elapsed())/deliveries, "ns/delivery")
			b.ReportMetric(allocs/float64(size), "allocs/publication")
			b.ReportMetric(allocs/float64(size*members), "allocs/delivery")
		})
	}
}

func TestADeliveryAllocatesNothingPerMember(t *testing.T) {
	allocs := func(members int) float64 {
		r := start(t)
		defer r.stop()
		for n := range members {
			r.connect(fmt.Sprint("u", n), pipe.NewDiscard).join("quiet", wire.Position{})
		}
		batch := []*wire.Publication{pub("quiet", 1, 1)}
		return testing.AllocsPerRun(100, func() { r.hub.Deliver("quiet", batch) })
	}
	if one, many := allocs(1), allocs(300); many > one {
		t.Errorf("%v allocations for one member, %v for 300", one, many)
	}
}

func BenchmarkJoinAndLeave(b *testing.B) {
	r := start(b)
	defer r.stop()
	m := r.connect("ann", pipe.NewDiscard)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.hub.Join(b.Context(), m.s, "quiet", wire.Position{}, func(Joined) wire.Event { return wire.Event{Name: "j"} }); err != nil {
			b.Fatal(err)
		}
		r.hub.Leave(m.s, "quiet")
	}
}

func TestFramesOfRoomsThatMayLeaveSomethingOutKnowHowToTell(t *testing.T) {
	pub := &wire.Publication{Room: "r", Event: "e", Data: []byte("1"), ConflateKey: "k", Position: wire.Position{Epoch: 1, Offset: 7, Nonce: 2}}
	if f := encode(jsonv1.Codec{}, pub, wire.SlowDisconnect); f.Notices != nil || f.Slow != wire.SlowDisconnect {
		t.Errorf("a frame that is never left out: %+v", f)
	}
	f := encode(jsonv1.Codec{}, pub, wire.SlowDropOldest)
	if f.Slow != wire.SlowDropOldest || f.Room != "r" || f.Position != pub.Position || f.ConflateKey != "k" {
		t.Errorf("%+v", f)
	}
	for want, got := range map[string]*wire.Frame{
		`{"event":"gap","data":{"room":"r","reason":"slow","from":6,"offset":7,"pos":"AAAAAAAB.7.AAAAAAAC"}}`: f.Notices.Gap("r", wire.Gap{Reason: wire.GapSlow, From: 6, Top: pub.Position}),
		`{"event":"gap","data":{"room":"r","reason":"slow"}}`:                                                 f.Notices.Gap("r", wire.Gap{Reason: wire.GapSlow}),
		`{"event":"e","room":"r","offset":7,"pos":"AAAAAAAB.7.AAAAAAAC","data":1,"skipped":3}`:                f.Notices.Skipped(f, 3),
	} {
		if string(got.Payload()) != want {
			t.Errorf("\n got %s\nwant %s", got.Payload(), want)
		}
		if got.Room != "r" || got.Slow != wire.SlowDisconnect {
			t.Errorf("%s: room %q, policy %d", got.Payload(), got.Room, got.Slow)
		}
	}
}
