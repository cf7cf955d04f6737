package router

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// life is a minute's notice and five minutes' grace.
var life = options{router: Config{Life: LifeConfig{ExpiryNotice: time.Minute, OutageGrace: 5 * time.Minute}}}

var (
	errAway = wire.NewError(wire.Unavailable, "the auth service cannot be asked")
	away    = func(context.Context, string) error { return errAway }
)

// until connects a user whose token lasts for d, and throws the greetings away.
func (r *rig) until(id string, d time.Duration) *client {
	r.t.Helper()
	c := r.open(session.Hello{Identity: &auth.Identity{UserID: id, ExpiresAt: time.Now().Add(d), Token: auth.DigestOf("first " + id)}})
	synctest.Wait()
	c.expect(connected(id), joinedOwn(wire.UserRoom(id)))
	return c
}

// pass lets time pass, and all that is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// tick is more than the wheel is late.
const tick = 200 * time.Millisecond

func expiring(at time.Time) string {
	return fmt.Sprintf(`{"event":"token_expiring","data":{"expiresAt":%d}}`, at.UnixMilli())
}

func TestAConnectionIsToldAndThenEndsWithItsToken(t *testing.T) {
	inBubble(t, life, func(_ *testing.T, r *rig) {
		end := time.Now().Add(10 * time.Minute)
		c := r.until("ann", 10*time.Minute)
		forever := r.user("bob")
		pass(9*time.Minute - tick)
		c.expect()
		pass(2 * tick)
		c.expect(expiring(end))
		pass(time.Minute - 2*tick)
		c.alive()
		pass(2 * tick)
		c.ended(wire.CloseTokenExpired)
		c.expect()
		forever.alive()
		forever.expect()
		if got := r.router.Stats(); got.Expired != 1 || got.Graced != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAShortLivedTokenIsToldOfAtHalfItsLife(t *testing.T) {
	inBubble(t, life, func(_ *testing.T, r *rig) {
		end := time.Now().Add(20 * time.Second)
		c := r.until("ann", 20*time.Second)
		pass(10*time.Second - tick)
		c.expect()
		pass(2 * tick)
		c.expect(expiring(end))
		pass(10 * time.Second)
		c.ended(wire.CloseTokenExpired)
	})
}

func TestWithoutNoticeAConnectionEndsAllTheSame(t *testing.T) {
	inBubble(t, options{}, func(_ *testing.T, r *rig) {
		c := r.until("ann", 20*time.Second)
		late := r.until("bob", -time.Second)
		pass(tick)
		late.ended(wire.CloseTokenExpired)
		c.alive()
		pass(20 * time.Second)
		c.ended(wire.CloseTokenExpired)
		c.expect()
	})
}

func TestTheEndOfTheAgesIsNotNow(t *testing.T) {
	inBubble(t, life, func(_ *testing.T, r *rig) {
		c := r.until("ann", 0)
		pass(tick)
		c.ended(wire.CloseTokenExpired)
		c = r.open(session.Hello{Identity: &auth.Identity{UserID: "bob", ExpiresAt: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}})
		pass(longSleep + time.Minute)
		c.alive()
	})
}

func TestARefreshInBandKeepsRoomsPresenceAndOrder(t *testing.T) {
	inBubble(t, life, func(t *testing.T, r *rig) {
		c, other := r.until("ann", 10*time.Minute), r.user("bob")
		c.ask(`{"event":"join_room","data":{"room":"seen:a"}}`, `{"event":"room_joined","data":{"room":"seen:a","recovered":false,"members":["ann"]}}`)
		other.ask(`{"event":"join_room","data":{"room":"seen:a"}}`, `{"event":"room_joined","data":{"room":"seen:a","recovered":false,"members":["ann","bob"]}}`)
		c.expect(`{"event":"member_joined","data":{"room":"seen:a","userId":"bob"}}`)
		answer := make(chan struct{})
		r.verifier.do(func(context.Context, string) error { <-answer; return nil })
		// What is sent behind the refresh waits for it; what others send does not.
		c.say(`{"event":"authenticate","id":1,"data":{"token":"u:ann;30m"}}`,
			`{"event":"publish","id":2,"data":{"room":"seen:a","event":"x","data":2}}`)
		other.say(`{"event":"publish","id":1,"data":{"room":"seen:a","event":"x","data":1}}`)
		close(answer)
		synctest.Wait()
		end := time.Now().Add(30 * time.Minute)
		c.expect(
			`{"event":"x","room":"seen:a","data":1}`,
			fmt.Sprintf(`{"event":"authenticated","id":1,"data":{"userId":"ann","expiresAt":%d}}`, end.UnixMilli()),
			`{"event":"published","id":2,"data":{"room":"seen:a"}}`,
			`{"event":"x","room":"seen:a","data":2}`)
		other.expect(
			`{"event":"published","id":1,"data":{"room":"seen:a"}}`,
			`{"event":"x","room":"seen:a","data":1}`,
			`{"event":"x","room":"seen:a","data":2}`)
		pass(29*time.Minute - tick) // the first token's end is long over
		c.alive()
		c.expect()
		pass(2 * tick)
		c.expect(expiring(end))
		pass(time.Minute)
		c.ended(wire.CloseTokenExpired)
	})
}

func TestARefreshMayTakeTheEndAway(t *testing.T) {
	inBubble(t, life, func(_ *testing.T, r *rig) {
		c := r.until("ann", 10*time.Minute)
		c.ask(`{"event":"authenticate","id":1,"data":{"token":"u:ann"}}`, `{"event":"authenticated","id":1,"data":{"userId":"ann","expiresAt":null}}`)
		pass(20 * time.Minute)
		c.alive()
		c.expect()
	})
}

func TestABadRefreshChangesNothing(t *testing.T) {
	inBubble(t, life, func(_ *testing.T, r *rig) {
		end := time.Now().Add(10 * time.Minute)
		c := r.until("ann", 10*time.Minute)
		c.ask(`{"event":"authenticate","id":1,"data":{"token":"forged"}}`, failed("1", "unauthenticated"))
		c.ask(`{"event":"authenticate","id":2,"data":{"token":"u:bob;1h"}}`, failed("2", "forbidden"))
		c.alive()
		pass(9*time.Minute + tick)
		c.expect(expiring(end))
		pass(time.Minute)
		c.ended(wire.CloseTokenExpired)
	})
}

func TestARefreshThatIsUnderWayAtTheEndIsAwaited(t *testing.T) {
	inBubble(t, life, func(_ *testing.T, r *rig) {
		c := r.until("ann", 10*time.Minute)
		pass(10*time.Minute - time.Second)
		c.heard()
		r.verifier.do(func(context.Context, string) error { time.Sleep(5 * time.Second); return nil })
		c.say(`{"event":"authenticate","id":1,"data":{"token":"u:ann;1h"}}`)
		pass(3 * time.Second)
		c.alive()
		pass(3 * time.Second)
		c.expect(`{"event":"authenticated","id":1,"data":{"userId":"ann","expiresAt":…`)
		c.alive()
	})
}

func TestRefreshesWithoutEndKeepNobody(t *testing.T) {
	inBubble(t, life, func(_ *testing.T, r *rig) {
		c := r.until("ann", 10*time.Minute)
		pass(10*time.Minute - time.Second)
		r.verifier.do(func(context.Context, string) error {
			time.Sleep(4 * time.Second)
			return wire.NewError(wire.Unauthenticated, "no")
		})
		for range 50 {
			c.Text(`{"event":"authenticate","data":{"token":"u:ann"}}`)
		}
		pass(12 * time.Second)
		c.ended(wire.CloseTokenExpired)
		pass(5 * time.Minute) // lets the rest be answered
	})
}

func TestWhileTheVerifierIsAwayATokensEndWaits(t *testing.T) {
	inBubble(t, life, func(t *testing.T, r *rig) {
		end := time.Now().Add(10 * time.Minute)
		c := r.until("ann", 10*time.Minute)
		bad := r.stranger()
		pass(9*time.Minute + tick)
		r.verifier.say(errors.New("breaker open"))
		r.verifier.do(away)
		bad.ended(wire.CloseUnauthenticated)
		c.expect(expiring(end))
		c.ask(`{"event":"authenticate","id":1,"data":{"token":"u:ann;1h"}}`, failed("1", "unavailable"))
		pass(3*time.Minute + 30*time.Second)
		c.alive()
		// Its attempts may be what finds the service back.
		last := expiring(end.Add(5 * time.Minute))
		c.expect(last, last, last)
		c.ask(`{"event":"ping","id":2}`, `{"event":"pong","id":2…`)
		r.verifier.say(nil)
		r.verifier.do(nil)
		back := time.Now()
		pass(gracePoll + tick)
		told := c.heard()
		if len(told) != 1 || !strings.HasPrefix(told[0], `{"event":"token_expiring"`) || told[0] == last {
			t.Fatalf("on return: %v", told)
		}
		c.ask(`{"event":"authenticate","id":3,"data":{"token":"u:ann;1h"}}`, `{"event":"authenticated","id":3…`)
		pass(time.Until(back.Add(10 * time.Minute)))
		c.alive()
		c.expect()
		if got := r.router.Stats(); got.Graced != 1 || got.Expired != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhoDoesNotRefreshOnTheVerifiersReturnEnds(t *testing.T) {
	inBubble(t, life, func(_ *testing.T, r *rig) {
		c := r.until("ann", 10*time.Minute)
		r.verifier.say(errors.New("breaker open"))
		pass(11 * time.Minute)
		c.alive()
		r.verifier.say(nil)
		pass(gracePoll + tick)
		c.alive()
		pass(time.Minute + tick)
		c.ended(wire.CloseTokenExpired)
	})
}

func TestTheGraceHasAnEnd(t *testing.T) {
	for name, outage := range map[string]func(r *rig, c *client){
		"the verifier says that it is away": func(r *rig, _ *client) { r.verifier.say(errors.New("breaker open")) },
		"refreshes are not verified": func(r *rig, c *client) {
			r.verifier.do(away)
			go func() {
				for range 200 {
					c.Text(`{"event":"authenticate","data":{"token":"u:ann;1h"}}`)
					time.Sleep(5 * time.Second)
				}
			}()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, life, func(_ *testing.T, r *rig) {
				c := r.until("ann", 10*time.Minute)
				pass(9*time.Minute + tick)
				outage(r, c)
				pass(6*time.Minute - 2*tick)
				c.alive()
				pass(3 * tick)
				c.ended(wire.CloseTokenExpired)
				pass(20 * time.Minute)
			})
		})
	}
}

func TestAClientThatAttemptsNothingIsNotThrownOutByAnOutage(t *testing.T) {
	inBubble(t, life, func(t *testing.T, r *rig) {
		c := r.until("ann", 10*time.Minute)
		pass(9*time.Minute + 30*time.Second)
		r.verifier.answers(func(context.Context) error { return errAway })
		pass(4 * time.Minute)
		c.alive()
		c.heard()
		r.verifier.answers(nil)
		pass(2*gracePoll + tick)
		if told := c.heard(); len(told) != 1 || told[0] == expiring(time.Now()) {
			t.Errorf("on return: %v", told)
		}
		pass(time.Minute + tick)
		c.ended(wire.CloseTokenExpired)
		if got := r.router.Stats(); got.Graced != 1 || got.Expired != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAServiceThatHangsIsAway(t *testing.T) {
	inBubble(t, life, func(_ *testing.T, r *rig) {
		c := r.until("ann", time.Minute)
		r.verifier.answers(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		pass(5 * time.Minute)
		c.alive()
	})
}

func TestConnectionsThatEndTogetherAskTogether(t *testing.T) {
	inBubble(t, life, func(t *testing.T, r *rig) {
		for i := range 100 {
			r.until(fmt.Sprint("u", i), time.Minute)
		}
		pass(2 * time.Minute)
		if r.verifier.probes != 1 || r.hub.Count() != 0 {
			t.Errorf("asked %d times, %d are left", r.verifier.probes, r.hub.Count())
		}
	})
}

func TestWithoutGraceAnOutageEndsConnectionsOnTime(t *testing.T) {
	inBubble(t, options{}, func(_ *testing.T, r *rig) {
		c := r.until("ann", time.Minute)
		r.verifier.say(errors.New("breaker open"))
		pass(time.Minute + tick)
		c.ended(wire.CloseTokenExpired)
	})
}

func TestARevokedUserHasNoGrace(t *testing.T) {
	inBubble(t, life, func(t *testing.T, r *rig) {
		ann, bob := r.until("ann", time.Minute), r.until("bob", time.Minute)
		r.verifier.say(errors.New("breaker open"))
		pass(2 * time.Minute)
		ann.alive()
		if n, err := r.router.RevokeUser("ann", time.Time{}); n != 1 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		synctest.Wait()
		ann.ended(wire.CloseDisconnected)
		bob.alive()
	})
}

func TestAGuestWhoBecomesAUserEndsWithTheToken(t *testing.T) {
	inBubble(t, life, func(_ *testing.T, r *rig) {
		c := r.guest()
		c.say(`{"event":"authenticate","id":1,"data":{"token":"u:ann;10m"}}`)
		c.heard()
		pass(10*time.Minute + tick)
		c.ended(wire.CloseTokenExpired)
	})
}

func TestATokenInTheFirstMessageRunsOut(t *testing.T) {
	inBubble(t, life, func(_ *testing.T, r *rig) {
		c := r.stranger()
		c.say(`{"event":"authenticate","id":1,"data":{"token":"u:ann;30s"}}`)
		pass(29 * time.Second)
		c.alive()
		pass(time.Second + tick)
		c.ended(wire.CloseTokenExpired)
		r.empty()
	})
}
