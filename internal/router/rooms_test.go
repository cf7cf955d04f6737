package router

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Whatever the policy says, nobody gets anywhere near the room of another user.
func TestRoomsOfUsersBelongToTheirUser(t *testing.T) {
	docs := map[string]string{"free": freeUsers}
	for _, level := range []string{policy.Minimal, policy.Standard, policy.Strict} {
		doc, err := policy.Default(level)
		if err != nil {
			t.Fatal(err)
		}
		docs[level] = string(doc)
	}
	for name, doc := range docs {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{rooms: doc, hub: hub.Config{MaxRooms: 100}}, func(t *testing.T, r *rig) {
				ann, strange := r.user("ann"), r.open(sessionOf("a/n n"))
				ann.expect()
				strange.say()
				strange.Sent()
				if _, err := r.router.SendUser(t.Context(), "ann", Outgoing{Event: "secret"}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				ann.expect(`{"event":"secret","room":"user:ann",…`)
				for _, bob := range []*client{r.user("bob"), r.user("an"), r.user("annn"), r.guest(), r.open(sessionOf("ann:notes")), r.open(sessionOf(""))} {
					bob.say()
					bob.Sent()
					for _, room := range []string{"user", "user:", "user:ann", "user:ann:notes", "user:ann/", "user:/", "user::",
						"user:a/2fn/20n", "user:a/2fn/20n:x", "user:ann:notes:x", "user:ann/3anotes:", "user:ann/2f"} {
						if wire.OwnsRoom(bob.s.OwnRoom(), room) {
							continue
						}
						for _, ask := range []string{`{"event":"join_room","id":1,"data":{"room":"%s"}}`,
							`{"event":"publish","id":1,"data":{"room":"%s","event":"e"}}`, `{"event":"history","id":1,"data":{"room":"%s"}}`,
							`{"event":"presence","id":1,"data":{"room":"%s"}}`} {
							bob.ask(fmt.Sprintf(ask, room), failed("1", "forbidden"))
						}
						escaped := `\u0075` + room[1:]
						bob.ask(`{"event":"join_room","id":1,"data":{"room":"`+escaped+`"}}`, failed("1", "forbidden"))
						bob.ask(`{"event":"leave_room","id":1,"data":{"room":"`+room+`"}}`, `{"event":"room_left",…`)
					}
				}
				ann.expect()
				if n := len(r.hub.Connections("ann")); n != 1 {
					t.Errorf("%d members of ann's room", n)
				}

				ann.ask(join("user:ann:notes"), `{"event":"room_joined","id":"j","data":{"room":"user:ann:notes",…`)
				strange.ask(join("user:a/2fn/20n:x"), `{"event":"room_joined","id":"j",…`)
				ann.ask(`{"event":"history","id":1,"data":{"room":"user:ann"}}`, `{"event":"history","id":1,…`)
				ann.say(`{"event":"publish","id":1,"data":{"room":"user:ann:notes","event":"e"}}`)
				got := strings.Join(ann.heard(), "\n")
				if want := name == "free"; strings.Contains(got, "published") != want {
					t.Errorf("the owner's publish: %s", got)
				}
			})
		})
	}
}

func TestResumeBringsWhatWasMissedInOrder(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		t.Run(fmt.Sprint("elsewhere ", elsewhere), func(t *testing.T) {
			inBubble(t, options{elsewhere: elsewhere}, func(t *testing.T, r *rig) {
				a, b := r.member("ann", "open:a"), r.user("bob")
				b.say(join("open:a"))
				since := posIn(t, string(b.Sent()[0].Payload()))
				b.Close(wire.Close{Code: 1000})
				for n := range 3 {
					a.say(publish(n, "open:a", "e", ""))
				}
				again := `{"event":"join_room","id":"j","data":{"room":"open:a","since":"` + since + `"}}`
				missed := []string{`{"event":"room_joined","id":"j","data":{"room":"open:a","offset":0,"pos":_,"recovered":true}}`,
					`{"event":"e","room":"open:a","offset":1,"pos":_,"data":{"n":0}}`,
					`{"event":"e","room":"open:a","offset":2,…`, `{"event":"e","room":"open:a","offset":3,…`}
				b = r.user("bob")
				b.ask(again, missed...)
				b.ask(again, missed...) // as often as it likes
				a.say(publish(3, "open:a", "e", ""))
				b.expect(`{"event":"e","room":"open:a","offset":4,…`)

				// From the top: nothing missed.
				top := `{"event":"join_room","data":{"room":"open:a","since":"` + r.top("open:a").String() + `"}}`
				r.user("cid").ask(top, `{"event":"room_joined","data":{"room":"open:a","offset":4,"pos":_,"recovered":true}}`)

				// At the trim edge, and behind it.
				at := r.top("open:a").String()
				for n := range 10 {
					a.say(publish(n, "open:a", "e", ""))
				}
				d := r.user("dan")
				d.say(`{"event":"join_room","data":{"room":"open:a","since":"` + at + `"}}`)
				if got := d.heard(); len(got) != 11 || !strings.Contains(got[0], `"offset":4,"pos":_,"recovered":true`) {
					t.Errorf("at the edge: %s", got)
				}
				d.ask(again, `{"event":"room_joined","id":"j","data":{"room":"open:a","offset":14,"pos":_,"recovered":false,"reason":"trimmed"}}`)
				time.Sleep(3 * time.Minute)
				d.ask(`{"event":"join_room","data":{"room":"open:a","since":"`+r.top("open:a").String()+`"}}`,
					`{"event":"room_joined","data":{"room":"open:a","offset":14,"pos":_,"recovered":true}}`)
				d.ask(`{"event":"join_room","data":{"room":"open:a","since":"`+at+`"}}`,
					`{"event":"room_joined","data":{"room":"open:a","offset":14,"pos":_,"recovered":false,"reason":"expired"}}`)
				top2 := r.top("open:a")
				top2.Offset++
				d.ask(`{"event":"join_room","data":{"room":"open:a","since":"`+top2.String()+`"}}`,
					`{"event":"room_joined","data":{"room":"open:a","offset":14,"pos":_,"recovered":false,"reason":"ahead"}}`)
				top2.Offset--
				top2.Nonce ^= 1
				d.ask(`{"event":"join_room","data":{"room":"open:a","since":"`+top2.String()+`"}}`,
					`{"event":"room_joined","data":{"room":"open:a","offset":14,"pos":_,"recovered":false,"reason":"entry_changed"}}`)
				if st := r.hub.Stats(); st.RecoveryRefused != 4 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

func (r *rig) top(room string) wire.Position {
	r.t.Helper()
	page, err := r.mem.History(context.Background(), room, wire.Position{}, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return page.Top
}

func TestWhatIsTooFarBehindIsSaid(t *testing.T) {
	inBubble(t, options{hub: hub.Config{CatchUpBytes: 400}}, func(_ *testing.T, r *rig) {
		a, b := r.member("ann", "open:a"), r.user("bob")
		since := r.top("open:a").String()
		for n := range 5 {
			a.say(publish(n, "open:a", "e", ""))
		}
		b.ask(`{"event":"join_room","data":{"room":"open:a","since":"`+since+`"}}`,
			`{"event":"room_joined","data":{"room":"open:a","offset":5,"pos":_,"recovered":false,"reason":"too_far_behind"}}`)
		a.say(publish(5, "open:a", "e", ""))
		b.expect(`{"event":"e","room":"open:a","offset":6,…`)
	})
}

// What is published while a join reads the log comes after what was missed.
func TestReplyThenMissedThenLive(t *testing.T) {
	inBubble(t, options{elsewhere: true}, func(t *testing.T, r *rig) {
		a, b := r.member("ann", "open:a"), r.user("bob")
		since := r.top("open:a").String()
		a.say(publish(1, "open:a", "missed", ""))
		release := make(chan struct{})
		r.remote.do(func(_ context.Context, op, _ string) error {
			if op == "history" {
				<-release
			}
			return nil
		})
		b.say(`{"event":"join_room","id":1,"data":{"room":"open:a","since":"`+since+`"}}`, ping)
		a.say(publish(2, "open:a", "both", "")) // will be in the page, and is held back
		b.expect()
		close(release)
		synctest.Wait()
		b.expect(`{"event":"room_joined","id":1,…`, `{"event":"missed",…`, `{"event":"both",…`, pong)
	})
}

func TestAHistoryReadsOn(t *testing.T) {
	inBubble(t, options{router: Config{HistoryLimit: 4, HistoryBytes: 420}}, func(t *testing.T, r *rig) {
		a := r.member("ann", "open:a")
		for n := 1; n <= 7; n++ {
			a.say(publish(n, "open:a", "e", ""))
		}
		a.Sent()
		next := func(more string) (string, string) {
			a.say(`{"event":"history","id":1,"data":{"room":"open:a"` + more + `}}`)
			raw := string(a.Sent()[0].Payload())
			return volatile.ReplaceAllString(raw, `"$1":_`), posIn(t, raw)
		}
		check := func(got, want string, first, last int) {
			t.Helper()
			if !strings.HasPrefix(got, `{"event":"history","id":1,"data":{"room":"open:a",`+want) {
				t.Errorf("got %s, want %s", got, want)
			}
			for n := range 9 {
				if in := strings.Contains(got, fmt.Sprintf(`"data":{"n":%d}`, n)); in != (n >= first && n <= last) {
					t.Errorf("entry %d: %v in %s", n, in, got)
				}
			}
		}
		got, pos := next(`,"limit":1000`)
		check(got, `"offset":3,"pos":_,"more":true`, 1, 3) // as many as fit the bytes
		got, pos = next(`,"limit":2,"since":"` + pos + `"`)
		check(got, `"offset":5,"pos":_,"more":true`, 4, 5)
		got, pos = next(`,"since":"` + pos + `"`)
		check(got, `"offset":7,"pos":_,"more":false`, 6, 7)
		got, _ = next(`,"since":"` + pos + `"`)
		check(got, `"offset":7,"pos":_,"more":false,"publications":[]`, 9, 9)
		a.say(`{"event":"publish","data":{"room":"open:a","event":"big","data":"` + strings.Repeat("x", 5000) + `"}}`)
		a.Sent()
		got, _ = next(`,"since":"` + pos + `"`) // one comes, however large
		check(got, `"offset":8,"pos":_,"more":false,"publications":[{"event":"big","offset":8,`, 9, 9)
	})
}

func TestABrokerThatIsAwayIsSaid(t *testing.T) {
	inBubble(t, options{elsewhere: true}, func(t *testing.T, r *rig) {
		a := r.member("ann", "open:a")
		down := func(ops ...string) {
			r.remote.do(func(_ context.Context, op, _ string) error {
				if strings.Contains(strings.Join(ops, " "), op) {
					return wire.NewError(wire.Unavailable, "away")
				}
				return nil
			})
		}
		for _, ops := range [][]string{{"subscribe"}, {"history"}} {
			down(ops...)
			a.ask(join("open:b"), failed(`"j"`, "unavailable"))
			if r.hub.Seated(a.s, "open:b") {
				t.Error("a failed join left a seat")
			}
		}
		down("history", "publish")
		a.ask(`{"event":"history","id":1,"data":{"room":"open:a"}}`, failed("1", "unavailable"))
		a.ask(publish(1, "open:a", "e", ""), failed("1", "unavailable"))
		a.alive()
		down()
		a.ask(publish(2, "open:a", "e", ""), `{"event":"published","id":2,…`, `{"event":"e",…`)
		a.ask(join("open:b"), `{"event":"room_joined","id":"j",…`)
	})
}

// Who joins again and fails is still a member and misses nothing.
func TestAFailedResumeChangesNothing(t *testing.T) {
	inBubble(t, options{elsewhere: true}, func(t *testing.T, r *rig) {
		a, b := r.member("ann", "open:a", "kept:a"), r.member("bob", "open:a", "kept:a")
		a.expect(`{"event":"member_joined",…`)
		release := make(chan struct{})
		r.remote.do(func(_ context.Context, op, _ string) error {
			if op == "history" {
				<-release
				return wire.NewError(wire.Unavailable, "away")
			}
			return nil
		})
		for _, room := range []string{"open:a", "user:ann", "kept:a"} {
			a.say(join(room))
		}
		b.ask(publish(1, "open:a", "held", ""), `{"event":"published",…`, `{"event":"held",…`)
		a.expect()
		close(release)
		synctest.Wait()
		a.expect(`{"event":"held",…`, failed(`"j"`, "unavailable"), failed(`"j"`, "unavailable"), failed(`"j"`, "unavailable"))
		b.ask(publish(2, "open:a", "live", ""), `{"event":"published",…`, `{"event":"live",…`) // and no member_left
		a.expect(`{"event":"live",…`)
		if _, err := r.router.SendUser(context.Background(), "ann", Outgoing{Event: "own"}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		a.expect(`{"event":"own",…`)
	})
}

// What a failed resume has lost cannot be brought: the client resumes anew.
func TestAFailedResumeThatLostSomethingEndsTheConnection(t *testing.T) {
	inBubble(t, options{elsewhere: true, hub: hub.Config{CatchUpBytes: 300}}, func(_ *testing.T, r *rig) {
		a, b := r.member("ann", "open:a"), r.member("bob", "open:a")
		release := make(chan struct{})
		r.remote.do(func(_ context.Context, op, _ string) error {
			if op == "history" {
				<-release
				return wire.NewError(wire.Unavailable, "away")
			}
			return nil
		})
		a.say(join("open:a"))
		for n := range 5 {
			b.say(publish(n, "open:a", "e", ""))
		}
		close(release)
		synctest.Wait()
		a.expect()
		a.ended(wire.CloseTryAgainLater)
		b.Close(wire.Close{Code: 1000})
		r.empty()
	})
}

func TestClosingInTheMiddleOfAJoinLeavesNothing(t *testing.T) {
	for _, op := range []string{"subscribe", "history"} {
		for _, fault := range []error{nil, wire.NewError(wire.Unavailable, "away")} {
			t.Run(fmt.Sprint(op, fault), func(t *testing.T) {
				inBubble(t, options{elsewhere: true}, func(t *testing.T, r *rig) {
					a := r.user("ann")
					release := make(chan struct{})
					r.remote.do(func(_ context.Context, at, _ string) error {
						if at == op {
							<-release
							return fault
						}
						return nil
					})
					a.say(join("seen:a"), publish(1, "seen:a", "e", ""))
					a.Close(wire.Close{Code: 1000})
					close(release)
					r.empty()
					if n := r.router.Stats().Errors[wire.Internal]; n != 0 {
						t.Errorf("%d internal errors", n)
					}
				})
			})
		}
	}
}

func TestEpochsThatEndAreSaid(t *testing.T) {
	inBubble(t, options{memory: membroker.Config{MemoryBytes: 16 << 10}, hub: hub.Config{MaxRooms: 100}}, func(t *testing.T, r *rig) {
		a := r.member("ann", "open:a")
		a.say(publish(1, "open:a", "e", ""))
		a.Sent()
		old := r.top("open:a").String()
		c := r.user("cid")
		for n := range 40 { // others push it out of the budget
			time.Sleep(time.Millisecond)
			c.say(publish(n, fmt.Sprintf("named:%d", n), "e", ""))
		}
		time.Sleep(time.Millisecond)
		a.expect(`{"event":"gap","data":{"room":"open:a","reason":"history_lost","from":1,"offset":0,"pos":_}}`)
		a.ask(publish(2, "open:a", "new", ""), `{"event":"published","id":2,"data":{"room":"open:a","offset":1,"pos":_}}`, `{"event":"new","room":"open:a","offset":1,…`)
		a.ask(`{"event":"join_room","id":1,"data":{"room":"open:a","since":"`+old+`"}}`,
			`{"event":"room_joined","id":1,"data":{"room":"open:a","offset":1,"pos":_,"recovered":false,"reason":"epoch_changed"}}`)
		if st := r.hub.Stats(); st.Gaps == 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestASlowClientIsCutAndResumes(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		a, b := r.member("ann", "open:a"), r.user("bob")
		b.say(join("open:a"))
		since := posIn(t, string(b.Sent()[0].Payload()))
		b.Bound(250)
		for n := range 5 {
			a.say(publish(n, "open:a", "e", ""))
		}
		b.ended(wire.CloseTooSlow)
		had := len(b.Sent())
		b = r.user("bob")
		b.say(`{"event":"join_room","data":{"room":"open:a","since":"` + since + `"}}`)
		if got := b.heard(); len(got) != 6 || had < 1 || had > 4 {
			t.Errorf("%d before, %d after: %s", had, len(got), got)
		}
	})
}
