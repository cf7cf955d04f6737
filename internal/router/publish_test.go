package router

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func join(room string) string { return `{"event":"join_room","id":"j","data":{"room":"` + room + `"}}` }

// member connects a user and lets it join rooms.
func (r *rig) member(id string, in ...string) *client {
	r.t.Helper()
	c := r.user(id)
	for _, room := range in {
		c.say(join(room))
	}
	if n := len(c.Sent()); n != len(in) {
		r.t.Fatalf("%d replies to %d joins", n, len(in))
	}
	return c
}

func publish(id int, room, event, more string) string {
	return fmt.Sprintf(`{"event":"publish","id":%d,"data":{"room":%q,"event":%q,"data":{"n":%d}%s}}`, id, room, event, id, more)
}

func TestTheReplyPrecedesTheOwnCopy(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		for _, room := range []string{"open:a", "live:a"} {
			t.Run(fmt.Sprintf("%s elsewhere=%v", room, elsewhere), func(t *testing.T) {
				r := start(t, options{elsewhere: elsewhere})
				defer r.stop()
				a := r.open(sessionOf("ann"))
				a.Next()
				a.Next()
				a.Text(join(room))
				a.Next()
				for n := range 300 {
					a.Text(publish(n, room, "e", ""))
				}
				early := map[int]bool{}
				for n := range 300 {
					want := []string{fmt.Sprintf(`{"event":"published","id":%d,`, n), fmt.Sprintf(`"data":{"n":%d}}`, n)}
					// Replies may run ahead of copies, never behind.
					replied, copied := false, false
					for !copied {
						f := string(a.Next().Payload())
						switch {
						case strings.HasPrefix(f, want[0]):
							replied = true
						case strings.HasPrefix(f, `{"event":"published"`):
							var id int
							_, _ = fmt.Sscanf(f, `{"event":"published","id":%d`, &id)
							if id < n {
								t.Fatalf("late or twice: %s", f)
							}
							early[id] = true
						case strings.HasSuffix(f, want[1]):
							copied = true
							if !replied && !early[n] {
								t.Fatalf("the copy of %d precedes its reply", n)
							}
						default:
							t.Fatalf("unexpected %s", f)
						}
					}
				}

			})
		}
	}
}

func TestEchoFalseLeavesTheSenderOut(t *testing.T) {
	for _, room := range []string{"open:a", "live:a"} {
		t.Run(room, func(t *testing.T) {
			inBubble(t, options{}, func(_ *testing.T, r *rig) {
				a, again, b := r.member("ann", room), r.member("ann", room), r.member("bob", room)
				a.ask(publish(1, room, "quiet", `,"echo":false`), `{"event":"published","id":1,…`)
				a.ask(publish(2, room, "loud", `,"echo":true`), `{"event":"published","id":2,…`, `{"event":"loud",…`)
				for _, c := range []*client{again, b} {
					c.expect(`{"event":"quiet",…`, `{"event":"loud",…`)
				}
			})
		})
	}
}

func TestEchoFalseHoldsOnResumeOfTheSameConnection(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		a := r.user("ann")
		a.say(join("open:a"))
		since := posIn(t, string(a.Sent()[0].Payload()))
		a.say(publish(1, "open:a", "quiet", `,"echo":false`), publish(2, "open:a", "loud", ""))
		a.Sent()
		again := `{"event":"join_room","id":"j","data":{"room":"open:a","since":"` + since + `"}}`
		a.ask(again, `{"event":"room_joined","id":"j","data":{"room":"open:a","offset":0,"pos":_,"recovered":true}}`, `{"event":"loud",…`)
		b := r.member("bob")
		b.ask(again, `{"event":"room_joined","id":"j",…`, `{"event":"quiet",…`, `{"event":"loud",…`)
	})
}

func posIn(t *testing.T, frame string) string {
	t.Helper()
	_, rest, ok := strings.Cut(frame, `"pos":"`)
	pos, _, _ := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no pos in %s", frame)
	}
	return pos
}

func TestAPublishIsRepeatedUnderItsKey(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		t.Run(fmt.Sprint("elsewhere ", elsewhere), func(t *testing.T) {
			inBubble(t, options{elsewhere: elsewhere}, func(_ *testing.T, r *rig) {
				a, b := r.member("ann", "open:a"), r.member("bob", "open:a")
				key := `,"idempotencyKey":"k"`
				first := `{"event":"published","id":1,"data":{"room":"open:a","offset":1,"pos":_}}`
				a.ask(publish(1, "open:a", "e", key), first, `{"event":"e",…`)
				a.ask(publish(1, "open:a", "e", key), first)
				a.ask(publish(1, "open:a", "other", key), failed("1", "conflict"))
				b.expect(`{"event":"e",…`)
				// A key is of its publisher, on whatever connection.
				b.ask(publish(1, "open:a", "other", key), `{"event":"published","id":1,"data":{"room":"open:a","offset":2,"pos":_}}`, `{"event":"other",…`)
				a.expect(`{"event":"other",…`)
				r.member("ann", "open:a").ask(publish(1, "open:a", "e", key), first)
				time.Sleep(6 * time.Minute)
				a.ask(publish(1, "open:a", "other", key), `{"event":"published","id":1,"data":{"room":"open:a","offset":3,"pos":_}}`, `{"event":"other",…`)
			})
		})
	}
}

func TestALargePublicationIsRefused(t *testing.T) {
	inBubble(t, options{memory: membroker.Config{MemoryBytes: 8 << 10}}, func(_ *testing.T, r *rig) {
		a := r.member("ann", "open:a")
		a.ask(publish(1, "open:a", "e", `,"conflateKey":"c"`), `{"event":"published",…`, `{"event":"e",…`)
		a.ask(`{"event":"publish","id":1,"data":{"room":"open:a","event":"e","data":"`+strings.Repeat("x", 2000)+`"}}`, failed("1", "too_large"))
		a.alive()
	})
}

// Back-pressure falls on the publisher's own connection.
func TestAPublisherWaitsForALaggingHandOff(t *testing.T) {
	inBubble(t, options{memory: membroker.Config{HandoffBytes: 1000}}, func(t *testing.T, r *rig) {
		a, b := r.member("ann", "open:a"), r.member("bob", "open:a")
		stop := make(chan struct{})
		r.slow.stall(stop)
		for n := range 10 {
			a.Text(publish(n, "open:a", "e", ""))
		}
		a.Text(ping)
		synctest.Wait()
		replies := len(a.heard())
		if replies == 0 || replies >= 10 {
			t.Fatalf("%d replies while nothing is delivered", replies)
		}
		b.ask(ping, pong)
		close(stop)
		synctest.Wait()
		if got := a.heard(); len(got) != 21-replies {
			t.Errorf("%d frames after %d: %s", len(got), replies, got)
		}
		if n := len(b.heard()); n != 10 {
			t.Errorf("bob heard %d", n)
		}
	})
}

func TestAPublisherDoesNotWaitForEver(t *testing.T) {
	inBubble(t, options{memory: membroker.Config{HandoffBytes: 1000}, router: Config{PublishWait: 2 * time.Second}}, func(t *testing.T, r *rig) {
		a := r.member("ann", "open:a")
		stop := make(chan struct{})
		r.slow.stall(stop)
		for n := range 10 {
			a.Text(publish(n, "open:a", "e", ""))
		}
		time.Sleep(time.Minute)
		got := a.heard()
		if len(got) != 10 || !strings.Contains(got[9], `"id":9,"data":{"code":"unavailable"`) {
			t.Errorf("%s", got)
		}
		close(stop)
		synctest.Wait()
		for _, f := range a.heard() {
			if !strings.HasPrefix(f, `{"event":"e"`) {
				t.Errorf("late: %s", f)
			}
		}
		a.ask(ping, pong)
	})
}

func TestHoldRefusesPublishesAndWaitsForThoseUnderWay(t *testing.T) {
	inBubble(t, options{elsewhere: true}, func(t *testing.T, r *rig) {
		a, b := r.member("ann", "open:a"), r.member("bob", "open:a")
		release := make(chan struct{})
		r.remote.do(func(_ context.Context, op, _ string) error {
			if op == "publish" {
				<-release
			}
			return nil
		})
		a.say(publish(1, "open:a", "last", ""))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.router.Hold(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Hold with a publish under way: %v", err)
		}
		held := make(chan error)
		go func() {
			err := r.router.Hold(t.Context())
			a.s.Close(wire.Close{Code: wire.CloseServiceRestart}) // what a drain does next
			held <- err
		}()
		synctest.Wait()
		b.ask(publish(1, "open:a", "late", ""), failed("1", "unavailable"))
		if _, err := r.router.SendRoom(t.Context(), "open:a", Outgoing{Event: "late"}); !wire.IsCode(err, wire.Unavailable) {
			t.Errorf("a backend's publish: %v", err)
		}
		a.expect()
		close(release)
		if err := <-held; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		a.expect(`{"event":"published","id":1,…`, `{"event":"last",…`)
		b.ask(ping, `{"event":"last",…`, pong)
		if st := r.router.Stats(); st.Published != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// The broker's call may fail when the publication has long been delivered: a
// request gets one reply all the same.
func TestAPublishThatWasDeliveredAndThenFailedHasOneReply(t *testing.T) {
	inBubble(t, options{elsewhere: true}, func(t *testing.T, r *rig) {
		r.remote.after = func(string, error) error {
			time.Sleep(time.Second) // it is delivered meanwhile
			return wire.NewError(wire.Unavailable, "no answer in time")
		}
		a := r.member("ann", "open:a")
		a.say(publish(1, "open:a", "e", ""))
		time.Sleep(2 * time.Second)
		a.expect(`{"event":"published","id":1,…`, `{"event":"e",…`)
		a.say(publish(2, "named:z", "e", ""))
		time.Sleep(2 * time.Second)
		a.expect(failed("2", "unavailable"))
		if st := r.router.Stats(); st.Published != 1 || st.Errors[wire.Unavailable] != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// A late copy of an earlier publish does not answer for a later one.
func TestACopyAnswersOnlyForItsOwnPublish(t *testing.T) {
	for _, room := range []string{"open:a", "live:a"} {
		t.Run(room, func(t *testing.T) {
			inBubble(t, options{elsewhere: true}, func(_ *testing.T, r *rig) {
				a := r.member("ann", room)
				stop := make(chan struct{})
				r.slow.stall(stop)
				a.ask(publish(1, room, "one", ""), `{"event":"published","id":1,…`)
				release := make(chan struct{})
				r.remote.do(func(context.Context, string, string) error {
					<-release
					return wire.NewError(wire.Unavailable, "away")
				})
				a.say(publish(2, room, "two", ""))
				close(stop)
				synctest.Wait()
				a.expect(`{"event":"one",…`)
				close(release)
				synctest.Wait()
				a.expect(failed("2", "unavailable"))
			})
		})
	}
}

// The policy may change between any two look-ups.
func TestThePolicyChangesWhileClientsPublish(t *testing.T) {
	r := start(t, options{})
	defer r.stop()
	a := r.open(sessionOf("ann"))
	none, some := parse(t, "version: 1\nrooms:\n  - {match: other, join: nobody, publish: nobody}\n"), parse(t, freeUsers)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				r.live.Set(none)
				r.live.Set(some)
			}
		}
	}()
	for range 3000 {
		a.Text(`{"event":"publish","data":{"room":"x","event":"e"}}`)
		a.Text(join("x"))
		a.Sent()
	}
	close(stop)
	<-done
	for name, n := range r.router.Stats().Errors {
		if n > 0 && name != wire.Forbidden {
			t.Errorf("%d times %s", n, name)
		}
	}
}

func TestBackendsSend(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		a, again, b := r.member("ann", "news"), r.user("ann"), r.member("bob", "news")
		stranger := r.stranger()
		send := func(pos wire.Position, err error, offset uint64) {
			t.Helper()
			if err != nil || pos.Offset != offset {
				t.Errorf("%v at %v, want offset %d", err, pos, offset)
			}
			synctest.Wait()
		}
		pos, err := r.router.SendRoom(t.Context(), "news", Outgoing{Event: "room", Data: []byte(`[1]`)})
		send(pos, err, 1)
		pos, err = r.router.SendUser(t.Context(), "ann", Outgoing{Event: "user"})
		send(pos, err, 1)
		send(wire.Position{}, r.router.SendEveryone(t.Context(), Outgoing{Event: "all", Data: []byte(`true`)}), 0)
		room, user, all := `{"event":"room","room":"news","offset":1,"pos":_,"data":[1]}`,
			`{"event":"user","room":"user:ann","offset":1,"pos":_,"data":null}`, `{"event":"all","data":true}`
		a.expect(room, user, all)
		again.expect(user, all)
		b.expect(room, all)
		stranger.expect()

		n, err := r.router.SendConnections([]string{a.s.ID(), "gone", b.s.ID()}, Outgoing{Event: "some", Data: []byte(`0`)})
		if n != 2 || err != nil {
			t.Errorf("sent to %d: %v", n, err)
		}
		a.expect(`{"event":"some","data":0}`)
		again.expect()
		b.expect(`{"event":"some","data":0}`)

		key := Outgoing{Event: "e", Publisher: "api/x", IdempotencyKey: "k", Data: []byte(`1`)}
		pos, err = r.router.SendRoom(t.Context(), "news", key)
		send(pos, err, 2)
		pos, err = r.router.SendRoom(t.Context(), "news", key)
		send(pos, err, 2)
		key.Data = []byte(`2`)
		if _, err = r.router.SendRoom(t.Context(), "news", key); !wire.IsCode(err, wire.Conflict) {
			t.Errorf("%v", err)
		}
		long := strings.Repeat("k", 129)
		for name, c := range map[string]struct {
			room string
			o    Outgoing
			code wire.Code
		}{
			"an unknown room":     {"nowhere", Outgoing{Event: "e"}, wire.Forbidden},
			"where nobody does":   {"shut", Outgoing{Event: "e"}, wire.Forbidden},
			"a bad room":          {"a b", Outgoing{Event: "e"}, wire.InvalidMessage},
			"everyone as a room":  {wire.Everyone, Outgoing{Event: "e"}, wire.InvalidMessage},
			"no event":            {"news", Outgoing{}, wire.InvalidMessage},
			"no JSON":             {"news", Outgoing{Event: "e", Data: []byte(`{`)}, wire.InvalidMessage},
			"a long key":          {"news", Outgoing{Event: "e", IdempotencyKey: long}, wire.InvalidMessage},
			"a long conflate key": {"news", Outgoing{Event: "e", ConflateKey: long}, wire.InvalidMessage},
		} {
			if _, err := r.router.SendRoom(t.Context(), c.room, c.o); !wire.IsCode(err, c.code) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if st := r.router.Stats(); st.Published != 5 {
			t.Errorf("%d published", st.Published)
		}
	})
}

func TestAPublishThatWaitsEndsWithItsContext(t *testing.T) {
	inBubble(t, options{memory: membroker.Config{HandoffBytes: 500}}, func(t *testing.T, r *rig) {
		r.member("ann", "news")
		stop := make(chan struct{})
		r.slow.stall(stop)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var err error
		for n := 0; err == nil && n < 10; n++ {
			_, err = r.router.SendRoom(ctx, "news", Outgoing{Event: "e"})
		}
		if !wire.IsCode(err, wire.Unavailable) {
			t.Errorf("%v", err)
		}
		close(stop)
	})
}

func TestClosingInTheMiddleOfAPublishLeavesNothing(t *testing.T) {
	inBubble(t, options{elsewhere: true}, func(t *testing.T, r *rig) {
		a := r.member("ann", "open:a")
		release := make(chan struct{})
		r.remote.do(func(_ context.Context, op, _ string) error {
			if op == "publish" {
				<-release
			}
			return nil
		})
		a.say(publish(1, "open:a", "e", ""), ping)
		a.Close(wire.Close{Code: 1000})
		close(release)
		r.empty()
		if page, err := r.mem.History(t.Context(), "open:a", wire.Position{}, broker.NoLimit); err != nil || len(page.Publications) != 1 {
			t.Errorf("%v: %d stored", err, len(page.Publications))
		}
		if st := r.mem.Stats(); st.HandoffBytes != 0 || st.Busy != 0 {
			t.Errorf("broker: %+v", st)
		}
	})
}

// A rule without history in force, then one with: both kinds may stand in one
// delivery.
func TestARoomThatBeginsToKeepHistory(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		a, b := r.member("ann", "live:a"), r.member("bob", "live:a")
		stop := make(chan struct{})
		r.slow.stall(stop)
		a.say(publish(1, "live:a", "one", ""))
		r.live.Set(parse(t, strings.Replace(rooms, `"live:*", join: anyone, publish: member`, `"live:*", join: anyone, publish: member, history: {size: 5}`, 1)))
		a.say(publish(2, "live:a", "two", ""))
		close(stop)
		synctest.Wait()
		a.expect(`{"event":"published","id":1,"data":{"room":"live:a"}}`, `{"event":"published","id":2,"data":{"room":"live:a","offset":1,"pos":_}}`,
			`{"event":"one","room":"live:a","data":{"n":1}}`, `{"event":"two","room":"live:a","offset":1,"pos":_,"data":{"n":2}}`)
		b.expect(`{"event":"one",…`, `{"event":"two",…`)
		r.live.Set(parse(t, rooms))
		stop = make(chan struct{}) // the gap may else come before the reply
		r.slow.stall(stop)
		a.say(publish(3, "live:a", "three", ""))
		close(stop)
		synctest.Wait()
		a.expect(`{"event":"published","id":3,"data":{"room":"live:a"}}`,
			`{"event":"gap","data":{"room":"live:a","reason":"epoch_changed","from":1,"offset":0,"pos":_}}`, `{"event":"three","room":"live:a","data":{"n":3}}`)
		b.expect(`{"event":"gap",…`, `{"event":"three",…`)
	})
}
