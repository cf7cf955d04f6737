package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

var errAway = wire.NewError(wire.Unavailable, "away")

func TestTheFirstMemberSubscribesAndTheLastUnsubscribes(t *testing.T) {
	r := start(t)
	defer r.stop()
	a, b := r.user("ann"), r.user("bob")
	a.join("quiet", wire.Position{})
	b.join("quiet", wire.Position{})
	a.join("quiet", wire.Position{})
	r.broker.balanced("quiet")
	if !r.hub.Leave(a.s, "quiet") || r.hub.Leave(a.s, "quiet") {
		t.Error("one leaves once")
	}
	r.broker.balanced("quiet")
	if n := len(r.hub.Members("quiet")); n != 1 || r.hub.Seated(a.s, "quiet") || !r.hub.Seated(b.s, "quiet") {
		t.Errorf("%d members", n)
	}
	b.gone()
	r.broker.balanced()
	a.join("quiet", wire.Position{})
	r.broker.balanced("quiet")
	a.gone()
	r.empty()
	if r.broker.subs != 2 {
		t.Errorf("%d subscriptions", r.broker.subs)
	}
}

func TestWhoLeavesDoesNotWaitForOthersWhoComeToARoom(t *testing.T) {
	r := startWith(t, Config{MaxRooms: 1000, CatchUpBytes: 1000})
	defer r.stop()
	a, b := r.user("ann"), r.user("bob")
	for n := range 300 {
		a.join(fmt.Sprint("a", n), wire.Position{})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var coming, waiting sync.WaitGroup
	coming.Add(300)
	r.broker.subscribe = func(ctx context.Context, _ string) error {
		coming.Done()
		<-ctx.Done() // as while Redis hangs
		return errAway
	}
	for n := range 300 {
		waiting.Go(func() {
			if err := r.hub.Join(ctx, b.s, fmt.Sprint("b", n), wire.Position{}, reply); !errors.Is(err, errAway) {
				t.Errorf("join: %v", err)
			}
		})
	}
	coming.Wait() // all at once, each for its own room
	a.gone()
	r.broker.balanced()
	cancel()
	waiting.Wait()
	b.gone()
	r.empty()
}

func TestAFailedSubscriptionLeavesNothing(t *testing.T) {
	r := start(t)
	defer r.stop()
	a := r.user("ann")
	r.broker.subscribe = func(context.Context, string) error { return errAway }
	if err := r.hub.Join(t.Context(), a.s, "x", wire.Position{}, reply); !errors.Is(err, errAway) {
		t.Errorf("join: %v", err)
	}
	if r.hub.Seated(a.s, "x") || r.hub.Stats().Rooms != 0 {
		t.Error("a seat is left")
	}
	r.broker.subscribe = nil
	a.join("x", wire.Position{})
	a.expect("joined x at 1.0 1[ann]")
	a.gone()
	r.empty()
}

func TestJoinsWaitForTheSubscriptionUnderWay(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint("that fails ", fails), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t)
				defer r.stop()
				release, first := make(chan struct{}), true
				r.broker.subscribe = func(context.Context, string) error {
					if first {
						first = false
						<-release
						if fails {
							return errAway
						}
					}
					return nil
				}
				a, b := r.user("ann"), r.user("bob")
				var errA error
				go func() { errA = r.hub.Join(t.Context(), a.s, "quiet", wire.Position{}, reply) }()
				synctest.Wait()
				go func() {
					if err := r.hub.Join(t.Context(), b.s, "quiet", wire.Position{}, reply); err != nil {
						t.Error(err)
					}
				}()
				a.expect()
				b.expect()
				close(release)
				synctest.Wait()
				b.expect("joined quiet at 1.0")
				if (errA != nil) != fails {
					t.Errorf("the first join: %v", errA)
				}
				r.broker.balanced("quiet")
				a.gone()
				b.gone()
				r.empty()
			})
		})
	}
}

func TestAJoinEndsWithItsContext(t *testing.T) {
	r := start(t)
	defer r.stop()
	a := r.user("ann")
	ctx, cancel := context.WithCancel(t.Context())
	r.broker.subscribe = func(ctx context.Context, _ string) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	if err := r.hub.Join(ctx, a.s, "x", wire.Position{}, reply); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	a.gone()
	r.empty()
}

func TestTheRoomsOfASessionAreBounded(t *testing.T) {
	r := start(t)
	defer r.stop()
	a := r.user("ann")
	for _, room := range []string{"1", "2", "3"} {
		a.join(room, wire.Position{})
	}
	if err := r.hub.Join(t.Context(), a.s, "4", wire.Position{}, reply); !wire.IsCode(err, wire.LimitExceeded) {
		t.Errorf("%v", err)
	}
	r.broker.balanced("1", "2", "3")
	a.gone()
	r.empty()
}

func TestWhoIsGoneJoinsNothing(t *testing.T) {
	r := start(t)
	defer r.stop()
	a := r.user("ann")
	a.gone()
	a.join("x", wire.Position{})
	r.empty()

	// The end comes between the seat and the log.
	b := r.user("bob")
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
		b.gone()
		return broker.Page{}, nil
	}
	b.join("x", wire.Position{})
	r.empty()

	// Or while a member resumes, and that fails.
	r.broker.history = nil
	c := r.user("cid")
	c.join("x", wire.Position{})
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
		c.gone()
		return broker.Page{}, errAway
	}
	if err := r.hub.Join(t.Context(), c.s, "x", wire.Position{}, reply); !errors.Is(err, errAway) {
		t.Errorf("%v", err)
	}
	r.empty()
}

// A join's page, what is delivered meanwhile, and what follows make one stream.
func TestAJoinMergesThePageWithWhatIsLive(t *testing.T) {
	since := wire.Position{Epoch: 1, Offset: 1}
	for name, c := range map[string]struct {
		meanwhile func(r *rig)
		want      []string
	}{
		"nothing meanwhile":       {func(*rig) {}, nil},
		"what the page holds too": {func(r *rig) { r.deliver(pub("quiet", 1, 2), pub("quiet", 1, 3)) }, nil},
		"half of it newer": {func(r *rig) { r.deliver(pub("quiet", 1, 3), pub("quiet", 1, 4)); r.deliver(pub("quiet", 1, 5)) },
			[]string{"e 1.4", "e 1.5"}},
		"an older epoch":  {func(r *rig) { r.deliver(pub("quiet", 9, 7)) }, nil},
		"without history": {func(r *rig) { r.deliver(&wire.Publication{Room: "quiet", Event: "now"}) }, []string{"now"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			defer r.stop()
			r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
				page := broker.Page{Top: wire.Position{Epoch: 1, Offset: 3}, Publications: []*wire.Publication{pub("quiet", 1, 2), pub("quiet", 1, 3)}}
				c.meanwhile(r)
				return page, nil
			}
			a := r.user("ann")
			a.join("quiet", since)
			a.expect(append([]string{"joined quiet at 1.1 recovered=true", "e 1.2", "e 1.3"}, c.want...)...)
			// What the broker delivers late is not news.
			r.deliver(pub("quiet", 1, 2), pub("quiet", 1, 3), pub("quiet", 1, 6))
			a.expect("e 1.6")
			r.deliver(pub("quiet", 1, 3))
			r.deliver(pub("quiet", 1, 7))
			a.expect("e 1.7")
		})
	}
}

func TestMoreThanTheBoundIsNotBrought(t *testing.T) {
	r := start(t)
	defer r.stop()
	var page broker.Page
	for n := range uint64(20) {
		page.Publications = append(page.Publications, pub("quiet", 1, n+1))
	}
	page.Top = page.Publications[19].Position
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) { return page, nil }
	a := r.user("ann")
	a.join("quiet", wire.Position{Epoch: 1})
	a.expect("joined quiet at 1.20 recovered=falsetoo_far_behind")
	if st := r.hub.Stats(); st.RecoveryRefused != 1 || st.Recovered != 0 {
		t.Errorf("%+v", st)
	}
}

// More held back than the bound, or a hole, reads the log again.
func TestAJoinThatLosesSomethingReadsTheLogAgain(t *testing.T) {
	for name, disturb := range map[string]func(r *rig){
		"too much": func(r *rig) {
			for n := range uint64(20) {
				r.deliver(pub("quiet", 1, n+1))
			}
		},
		"a hole": func(r *rig) {
			r.hub.Gap("quiet", wire.Gap{Reason: "overflow", Top: wire.Position{Epoch: 1, Offset: 20}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			defer r.stop()
			reads, inside := 0, false
			r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
				if inside { // the hub asks in Gap
					return broker.Page{Top: wire.Position{Epoch: 1}}, nil
				}
				reads++
				if inside = true; reads <= 2 {
					disturb(r)
				}
				inside = false
				return broker.Page{Top: wire.Position{Epoch: 1, Offset: uint64(reads * 20)}}, nil
			}
			a := r.user("ann")
			a.join("quiet", wire.Position{})
			a.expect("joined quiet at 1.60")
			if st := r.hub.Stats(); st.JoinRetry != 2 || reads != 3 {
				t.Errorf("%d reads, %+v", reads, st)
			}
		})
	}
}

func TestARoomMayBeTooBusyToJoin(t *testing.T) {
	r := start(t)
	defer r.stop()
	inside := false
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
		if !inside { // the hub asks in Gap
			inside = true
			r.hub.Gap("quiet", wire.Gap{Top: wire.Position{Epoch: 1}})
			inside = false
		}
		return broker.Page{Top: wire.Position{Epoch: 1}}, nil
	}
	a := r.user("ann")
	if err := r.hub.Join(t.Context(), a.s, "quiet", wire.Position{}, reply); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("%v", err)
	}
	if r.hub.Seated(a.s, "quiet") {
		t.Error("a seat is left")
	}
	a.expect()
	r.broker.balanced()
	if _, over := a.Ended(); over {
		t.Error("closed")
	}

	// A member that resumes has lost what was held back meanwhile.
	history := r.broker.history
	r.broker.history = nil
	a.join("quiet", wire.Position{})
	r.broker.history = history
	if err := r.hub.Join(t.Context(), a.s, "quiet", wire.Position{}, reply); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("%v", err)
	}
	if why, over := a.Ended(); !over || why.Code != wire.CloseTryAgainLater {
		t.Errorf("closed %v with %v", over, why)
	}
	a.Wait()
	r.empty()
}

func TestASeatTakenAnewKnowsNothingOfTheOldOne(t *testing.T) {
	r := start(t)
	defer r.stop()
	top := wire.Position{Epoch: 1, Offset: 5}
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
		return broker.Page{Top: top}, nil
	}
	a := r.user("ann")
	a.join("quiet", wire.Position{})
	r.hub.Leave(a.s, "quiet")
	r.deliver(pub("quiet", 1, 6))
	top.Offset = 6
	a.join("quiet", wire.Position{})
	late := pub("quiet", 1, 6)
	late.Origin = a.s.ID()
	r.deliver(late, pub("quiet", 1, 7))
	a.expect("joined quiet at 1.5", "joined quiet at 1.6", "e 1.7")
}

func TestJoinsLeavesAndEndsKeepTheBalance(t *testing.T) {
	r := startWith(t, Config{MaxRooms: 100, CatchUpBytes: 1 << 20})
	defer r.stop()
	r.broker.anyTime = true
	r.broker.subscribe = func(context.Context, string) error {
		if rand.IntN(4) == 0 {
			return errAway
		}
		return nil
	}
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
		if rand.IntN(4) == 0 {
			return broker.Page{}, errAway
		}
		return broker.Page{Top: wire.Position{Epoch: 1, Offset: uint64(rand.IntN(100))}}, nil
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 100 {
				m := r.user(fmt.Sprint("u", n%3))
				var inner sync.WaitGroup
				inner.Go(func() {
					for range 20 {
						room := fmt.Sprint("room", rand.IntN(3))
						switch rand.IntN(5) {
						case 0:
							r.hub.Leave(m.s, room)
						case 1:
							r.deliver(pub(room, 1, uint64(rand.IntN(100))))
							r.hub.Gap(room, wire.Gap{Top: wire.Position{Epoch: uint64(1 + rand.IntN(2))}})
						case 2:
							r.hub.Presence(room, "")
							r.hub.Members(room)
						default:
							_ = r.hub.Join(t.Context(), m.s, room, wire.Position{}, reply)
						}
					}
				})
				if n%2 == 0 {
					inner.Wait()
				}
				m.gone()
				inner.Wait()
			}
		})
	}
	wg.Wait()
	r.empty()
}

func TestSessionsAreFound(t *testing.T) {
	r := start(t)
	defer r.stop()
	a, again, nobody := r.user("ann"), r.user("ann"), r.user("")
	for _, m := range []*member{a, again} {
		m.join(wire.UserRoom("ann"), wire.Position{})
	}
	if n := len(r.hub.Sessions()); n != 3 || r.hub.Count() != 3 || r.hub.Session(a.s.ID()) != a.s || r.hub.Session("x") != nil {
		t.Errorf("%d sessions", n)
	}
	if got := r.hub.Connections("ann"); len(got) != 2 || len(r.hub.Connections("bob")) != 0 {
		t.Errorf("%d connections", len(got))
	}
	for _, m := range []*member{a, again, nobody} {
		m.gone()
		r.hub.Remove(m.s) // once more changes nothing
	}
	r.empty()
}
