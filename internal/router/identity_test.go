package router

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	asAnn      = `{"event":"authenticate","id":"a","data":{"token":"u:ann"}}`
	asNobody   = `{"event":"authenticate","id":"a","data":{"token":"nobody"}}`
	ping       = `{"event":"ping","id":"p"}`
	pong       = `{"event":"pong","id":"p",…`
	isAnn      = `{"event":"authenticated","id":"a","data":{"userId":"ann","expiresAt":null}}`
	unverified = `the auth service is away`
)

func TestWhoHasNotAuthenticatedMayOnlyPingAndAuthenticate(t *testing.T) {
	inBubble(t, options{rooms: freeUsers}, func(t *testing.T, r *rig) {
		c := r.stranger()
		for _, m := range []string{
			`{"event":"join_room","id":1,"data":{"room":"open:a"}}`, `{"event":"leave_room","id":1,"data":{"room":"open:a"}}`,
			`{"event":"publish","id":1,"data":{"room":"open:a","event":"e"}}`, `{"event":"history","id":1,"data":{"room":"open:a"}}`,
			`{"event":"presence","id":1,"data":{"room":"open:a"}}`, `{"event":"join_room","id":1,"data":{"room":"user"}}`,
			`{"event":"join_room","id":1,"data":{"room":"user:"}}`, `{"event":"publish","id":1,"data":{"room":":x","event":"e"}}`,
		} {
			c.ask(m, failed("1", "unauthenticated"))
		}
		if err := r.router.SendEveryone(context.Background(), Outgoing{Event: "all"}); err != nil {
			t.Error(err)
		}
		c.ask(ping, pong)
		c.ask(asAnn, isAnn, connected("ann"), joinedOwn("user:ann"))
		c.ask(`{"event":"join_room","id":1,"data":{"room":"open:a"}}`, `{"event":"room_joined","id":1,…`)
		time.Sleep(time.Minute) // the deadline is over and forgotten
		c.ask(ping, pong)
	})
}

func TestTheAuthenticationDeadlineCloses(t *testing.T) {
	inBubble(t, options{router: Config{AuthDeadline: 3 * time.Second}}, func(_ *testing.T, r *rig) {
		c := r.stranger()
		time.Sleep(2900 * time.Millisecond)
		c.ask(ping, pong)
		c.alive()
		time.Sleep(300 * time.Millisecond)
		c.expect(failed("", "unauthenticated"))
		c.ended(wire.CloseUnauthenticated)
		r.empty()
	})
}

func TestACredentialIsAccepted(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		c := r.stranger()
		c.ask(`{"event":"authenticate","data":{"token":"u:brief"}}`,
			`{"event":"authenticated","data":{"userId":"brief","expiresAt":4102444800000}}`, connected("brief"), joinedOwn("user:brief"))
		if id := c.s.Identity(); id.UserID != "brief" || c.s.OwnRoom() != "user:brief" {
			t.Errorf("identity %+v", id)
		}
	})
}

func TestABadCredentialEndsOnlyWhoHasNoneYet(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		c := r.stranger()
		c.ask(asNobody, failed(`"a"`, "unauthenticated"))
		c.ended(wire.CloseUnauthenticated)
		a := r.user("ann")
		a.ask(asNobody, failed(`"a"`, "unauthenticated"))
		a.ask(ping, pong)
		g := r.guest()
		g.ask(asNobody, failed(`"a"`, "unauthenticated"))
		g.ask(ping, pong)
		if !g.s.Identity().Guest {
			t.Error("the guest is somebody else")
		}
	})
}

func TestATokenThatCannotBeCheckedNeitherLetsInNorIsCalledBad(t *testing.T) {
	for name, fault := range map[string]error{"unavailable": wire.NewError(wire.Unavailable, unverified), "a fault": errors.New("secret detail")} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, r *rig) {
				r.verifier.do(func(context.Context, string) error { return fault })
				c := r.stranger()
				a := r.user("ann")
				for _, who := range []*client{c, a} {
					who.say(asAnn)
					got := who.heard()
					if len(got) != 1 || !strings.Contains(got[0], `"retryable":true`) || strings.Contains(got[0], "secret") {
						t.Errorf("got %s", got)
					}
				}
				c.ask(`{"event":"join_room","id":1,"data":{"room":"open:a"}}`, failed("1", "unauthenticated"))
				time.Sleep(9 * time.Second)
				c.say(asAnn) // another try is within the same deadline
				c.Sent()
				c.ask(ping, pong)
				a.ask(ping, pong)
				time.Sleep(1200 * time.Millisecond)
				c.expect(failed("", "unavailable"))
				c.ended(wire.CloseTryAgainLater)
				a.alive()

				r.verifier.do(nil)
				d := r.stranger()
				d.ask(asAnn, isAnn, connected("ann"), joinedOwn("user:ann"))
			})
		})
	}
}

func TestASlowVerifierIsNotTheClientsFault(t *testing.T) {
	inBubble(t, options{}, func(_ *testing.T, r *rig) {
		r.verifier.do(func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return wire.NewError(wire.Unavailable, unverified)
		})
		c := r.stranger()
		time.Sleep(5 * time.Second)
		c.say(asAnn)
		time.Sleep(6 * time.Second) // past the deadline of the credential
		c.expect()
		c.alive()
		time.Sleep(5 * time.Second)
		c.expect(failed(`"a"`, "unavailable"), failed("", "unavailable")) // there is no time for another one
		c.ended(wire.CloseTryAgainLater)

		r.verifier.do(func(context.Context, string) error {
			time.Sleep(9 * time.Second)
			return nil
		})
		d := r.stranger()
		time.Sleep(5 * time.Second)
		d.say(asAnn)
		time.Sleep(10 * time.Second)
		d.expect(isAnn, connected("ann"), joinedOwn("user:ann"))
		time.Sleep(time.Minute)
		d.alive()
	})
}

func TestTriesThatOverlapTheDeadlineDoNotMoveIt(t *testing.T) {
	inBubble(t, options{}, func(_ *testing.T, r *rig) {
		r.verifier.do(func(context.Context, string) error {
			time.Sleep(4 * time.Second)
			return wire.NewError(wire.Unavailable, unverified)
		})
		c := r.stranger()
		for range 20 {
			c.say(asAnn) // the next one begins as this one ends
		}
		time.Sleep(9 * time.Second)
		c.alive()
		time.Sleep(12 * time.Second) // the deadline, and as long as a verification may take
		c.ended(wire.CloseTryAgainLater)
		r.empty()
	})
}

func TestMessagesWaitWhileATokenIsChecked(t *testing.T) {
	inBubble(t, options{}, func(_ *testing.T, r *rig) {
		release := make(chan struct{})
		r.verifier.do(func(context.Context, string) error { <-release; return nil })
		c := r.stranger()
		c.say(`{"event":"ping","id":0}`, asAnn, `{"event":"ping","id":1}`,
			`{"event":"join_room","id":2,"data":{"room":"open:a"}}`,
			`{"event":"publish","id":3,"data":{"room":"wall","event":"e","data":{}}}`, asAnn, `{"event":"ping","id":4}`)
		c.expect(`{"event":"pong","id":0,…`)
		close(release)
		synctest.Wait()
		c.expect(isAnn, connected("ann"), joinedOwn("user:ann"), `{"event":"pong","id":1,…`,
			`{"event":"room_joined","id":2,…`, `{"event":"published","id":3,…`, isAnn,
			`{"event":"pong","id":4,…`)
	})
}

func TestASessionThatClosesWhileItsTokenIsCheckedLeavesNothing(t *testing.T) {
	for name, verdict := range map[string]error{"accepted": nil, "refused": wire.NewError(wire.Unauthenticated, "no"), "unavailable": wire.NewError(wire.Unavailable, "away")} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, r *rig) {
				release := make(chan struct{})
				r.verifier.do(func(context.Context, string) error { <-release; return verdict })
				c := r.stranger()
				c.say(asAnn, ping)
				c.Close(wire.Close{Code: 1000})
				close(release)
				r.empty()
				if c.s.Identity() != nil || c.s.Seats() != 0 {
					t.Error("a closed session was let in")
				}
				if r.wheel.Cancel(&c.s.Timer) {
					t.Error("a deadline is pending for a closed session")
				}
			})
		})
	}
}

func TestAGuestBecomesAUser(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		g := r.guest()
		old := g.s.OwnRoom()
		g.ask(`{"event":"join_room","id":1,"data":{"room":"named:x"}}`, failed("1", "forbidden"))
		g.ask(`{"event":"publish","id":1,"data":{"room":"named:x","event":"e"}}`, failed("1", "forbidden"))
		g.ask(asAnn, isAnn, connected("ann"), joinedOwn("user:ann"))
		if r.hub.Seated(g.s, old) || len(r.hub.Members(old)) != 0 || len(r.hub.Connections("ann")) != 1 {
			t.Error("the guest's room is still there")
		}
		g.ask(`{"event":"join_room","id":1,"data":{"room":"named:x"}}`, `{"event":"room_joined","id":1,…`)
		g.ask(`{"event":"publish","id":1,"data":{"room":"named:x","event":"e"}}`, `{"event":"published","id":1,…`, `{"event":"e",…`)
	})
}

func TestAGuestInRoomsStaysAGuest(t *testing.T) {
	inBubble(t, options{}, func(_ *testing.T, r *rig) {
		g := r.guest()
		g.ask(`{"event":"join_room","id":1,"data":{"room":"open:a"}}`, `{"event":"room_joined","id":1,…`)
		g.ask(asAnn, failed(`"a"`, "forbidden"))
		g.ask(`{"event":"leave_room","id":1,"data":{"room":"open:a"}}`, `{"event":"room_left","id":1,…`)
		g.ask(asAnn, isAnn, connected("ann"), joinedOwn("user:ann"))
	})
}

func TestWhatAHelloBringsIsDecidedAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		fault *wire.Error
		code  wire.CloseCode
	}{
		"a bad credential":                {wire.NewError(wire.Unauthenticated, "no"), wire.CloseUnauthenticated},
		"two credentials":                 {wire.NewError(wire.InvalidMessage, "two"), wire.CloseUnauthenticated},
		"a credential that was unchecked": {wire.NewError(wire.Unavailable, "away"), wire.CloseTryAgainLater},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(_ *testing.T, r *rig) {
				a := r.open(session.Hello{Fault: c.fault, Identity: &auth.Identity{UserID: "ann"}})
				a.expect(failed("", string(c.fault.Code)))
				a.ended(c.code)
				a.Wait()
				r.empty()
			})
		})
	}
}

// The own room's resume is decided before anything live is delivered.
func TestTheOwnRoomResumesFromTheHello(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		pos, err := r.router.SendUser(t.Context(), "ann", Outgoing{Event: "one"})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []string{"two", "three"} {
			if _, err := r.router.SendUser(t.Context(), "ann", Outgoing{Event: e, Data: []byte(`{}`)}); err != nil {
				t.Fatal(err)
			}
		}
		since := `{"user:ann":"` + pos.String() + `","other":"` + pos.String() + `"}`
		missed := []string{connected("ann"), `{"event":"room_joined","data":{"room":"user:ann","offset":1,"pos":_,"recovered":true}}`,
			`{"event":"two","room":"user:ann","offset":2,"pos":_,"data":{}}`, `{"event":"three","room":"user:ann","offset":3,"pos":_,"data":{}}`}
		c := r.open(session.Hello{Identity: &auth.Identity{UserID: "ann"}, Since: []byte(since)})
		c.expect(missed...)
		d := r.stranger()
		d.ask(`{"event":"authenticate","id":"a","data":{"token":"u:ann","since":`+since+`}}`, append([]string{isAnn}, missed...)...)

		// One that makes no sense is said, and joins without.
		e := r.open(session.Hello{Identity: &auth.Identity{UserID: "ann"}, Since: []byte(`["x"]`)})
		e.expect(failed("", "invalid_message"), connected("ann"), `{"event":"room_joined","data":{"room":"user:ann","offset":3,"pos":_,"recovered":false}}`)
		if st := r.hub.Stats(); st.Recovered != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestNothingPrecedesConnected(t *testing.T) {
	r := start(t, options{elsewhere: true})
	defer r.stop()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				if err := r.router.SendEveryone(context.Background(), Outgoing{Event: "all"}); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	for range 200 {
		c := r.stranger()
		c.Text(asAnn)
		for _, want := range []string{"authenticated", "connected"} {
			if got := string(c.Next().Payload()); !strings.HasPrefix(got, `{"event":"`+want+`"`) {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
		c.Close(wire.Close{Code: 1000})
	}
	close(stop)
	<-done
}

func TestWithoutItsOwnRoomASessionEnds(t *testing.T) {
	inBubble(t, options{elsewhere: true}, func(_ *testing.T, r *rig) {
		r.remote.do(func(_ context.Context, op, _ string) error {
			if op == "subscribe" {
				return wire.NewError(wire.Unavailable, "away")
			}
			return nil
		})
		c := r.open(session.Hello{Identity: &auth.Identity{UserID: "ann"}})
		c.ended(wire.CloseTryAgainLater)
		c.Wait()
		r.empty()
	})
}

func TestShutdownEndsWhatWaits(t *testing.T) {
	for _, op := range []string{"verify", "subscribe", "history", "publish"} {
		t.Run(op, func(t *testing.T) {
			inBubble(t, options{elsewhere: true}, func(t *testing.T, r *rig) {
				block := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
				a := r.user("ann")
				if op == "verify" {
					r.verifier.do(func(ctx context.Context, _ string) error { return block(ctx) })
				}
				r.remote.do(func(ctx context.Context, at, _ string) error {
					if at == op {
						return block(ctx)
					}
					return nil
				})
				a.say(map[string]string{"verify": asAnn, "subscribe": `{"event":"join_room","id":"a","data":{"room":"open:a"}}`,
					"history": `{"event":"history","id":"a","data":{"room":"user:ann"}}`,
					"publish": `{"event":"publish","id":"a","data":{"room":"named:a","event":"e"}}`}[op])
				a.expect()
				begin := time.Now()
				r.router.Shutdown()
				if time.Since(begin) > 0 {
					t.Error("Shutdown waited")
				}
				if got := a.heard(); len(got) != 1 || !strings.HasPrefix(got[0], `{"event":"error","id":"a",`) {
					t.Errorf("got %s", got)
				}
				// Nothing waits any more.
				a.ask(asAnn, failed(`"a"`, "unavailable"))
				a.ask(`{"event":"join_room","id":1,"data":{"room":"open:b"}}`, failed("1", "unavailable"))
				a.ask(`{"event":"publish","id":1,"data":{"room":"named:a","event":"e"}}`, failed("1", "unavailable"))
				a.ask(ping, pong)
				a.Close(wire.Close{Code: 1000})
				r.empty()
			})
		})
	}
}

func TestATokenOfAnotherUserWhileTheSessionLives(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		a := r.user("ann")
		a.ask(`{"event":"authenticate","id":"b","data":{"token":"u:bob"}}`, failed(`"b"`, "forbidden"))
		if a.s.Identity().UserID != "ann" || len(r.hub.Connections("bob")) != 0 {
			t.Error("the session is bob's")
		}
		a.ask(`{"event":"authenticate","id":"b","data":{"token":"u:brief"}}`, failed(`"b"`, "forbidden"))
		a.ask(asAnn, isAnn)
	})
}
