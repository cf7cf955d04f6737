package router

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// authorizer grants what it is told to.
type authorizer struct {
	mu     sync.Mutex
	asked  []string                                      // guarded by mu: user, action and room
	answer func(ctx context.Context) (auth.Grant, error) // guarded by mu
	most   int                                           // guarded by mu: questions at once
	now    int                                           // guarded by mu
}

func (a *authorizer) will(f func(ctx context.Context) (auth.Grant, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = f
}

func (a *authorizer) took() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked
	a.asked = nil
	return asked
}

func (a *authorizer) Authorize(ctx context.Context, id *auth.Identity, room, action string, _ netip.Addr) (auth.Grant, error) {
	a.mu.Lock()
	a.asked = append(a.asked, id.UserID+" "+action+" "+room)
	a.now++
	a.most = max(a.most, a.now)
	answer := a.answer
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.now--
	}()
	return answer(context.WithValue(ctx, asker{}, id.UserID))
}

// asker is the key of a question's user in its context.
type asker struct{}

// grantFor grants for a time, 0 for good.
func grantFor(d time.Duration) func(context.Context) (auth.Grant, error) {
	return func(context.Context) (auth.Grant, error) {
		g := auth.Grant{Allowed: true}
		if d > 0 {
			g.Until = time.Now().Add(d)
		}
		return g, nil
	}
}

func denied(context.Context) (auth.Grant, error)  { return auth.Grant{}, nil }
func unasked(context.Context) (auth.Grant, error) { return auth.Grant{}, errAway }

const (
	joinDeal   = `{"event":"join_room","id":1,"data":{"room":"deal:1"}}`
	joinedDeal = `{"event":"room_joined","id":1,"data":{"room":"deal:1",…`
	inDeal     = `{"event":"publish","data":{"room":"deal:1","event":"x","data":1}}`
)

func leftDeal(reason string) string {
	return `{"event":"room_left","data":{"room":"deal:1","reason":"` + reason + `"}}`
}

// asking is a gateway with an authorizer, and five minutes' grace.
func asking(t *testing.T, f func(t *testing.T, r *rig, a *authorizer)) {
	t.Helper()
	a := &authorizer{answer: grantFor(0)}
	o := options{asked: a}
	o.router.Life.OutageGrace = 5 * time.Minute
	inBubble(t, o, func(t *testing.T, r *rig) {
		f(t, r, a)
		if n := len(r.router.grants.of); n != 0 && r.hub.Count() == 0 {
			t.Errorf("%d sessions' grants are left", n)
		}
	})
}

func expectAsked(t *testing.T, a *authorizer, want int) {
	t.Helper()
	got := a.took()
	if len(got) != want {
		t.Errorf("asked %d times, want %d", len(got), want)
	}
	for _, q := range got {
		if q != "ann join deal:1" {
			t.Errorf("asked %q", q)
		}
	}
}

func TestTheAuthorizerDecidesWhoJoinsARoomThatAsks(t *testing.T) {
	asking(t, func(t *testing.T, r *rig, a *authorizer) {
		ann, guest := r.user("ann"), r.guest()
		a.will(denied)
		ann.ask(joinDeal, failed("1", "forbidden"))
		a.will(unasked)
		ann.ask(joinDeal, failed("1", "unavailable"))
		expectAsked(t, a, 2)
		guest.ask(joinDeal, failed("1", "forbidden"))
		ann.ask(`{"event":"join_room","id":1,"data":{"room":"open:1"}}`, `{"event":"room_joined"…`)
		expectAsked(t, a, 0)
		a.will(grantFor(0))
		ann.ask(joinDeal, joinedDeal)
		expectAsked(t, a, 1)
		pass(10 * time.Minute)
		expectAsked(t, a, 0)
		ann.ask(inDeal, `{"event":"x","room":"deal:1","data":1}`)
		if st := r.router.Stats(); st.Grants != 0 || st.Asked != 3 {
			t.Errorf("%+v", st)
		}
	})
}

func TestWithoutAnAuthorizerNobodyJoinsARoomThatAsks(t *testing.T) {
	inBubble(t, options{}, func(_ *testing.T, r *rig) {
		ann := r.user("ann")
		ann.ask(joinDeal, failed("1", "unavailable"))
		ann.ask(inDeal, failed("", "forbidden"))
	})
}

func TestAGrantThatRunsOutIsAskedForAgain(t *testing.T) {
	asking(t, func(t *testing.T, r *rig, a *authorizer) {
		a.will(grantFor(time.Minute))
		ann := r.user("ann")
		ann.ask(joinDeal, joinedDeal)
		expectAsked(t, a, 1)
		pass(time.Minute - tick)
		expectAsked(t, a, 0)
		pass(2 * tick)
		expectAsked(t, a, 1)
		pass(10 * time.Minute)
		if n := len(a.took()); n < 9 || n > 10 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		ann.expect()
		if st := r.router.Stats(); st.Grants != 1 {
			t.Errorf("%+v", st)
		}
		a.will(grantFor(0))
		pass(time.Minute + tick)
		if st := r.router.Stats(); st.Grants != 0 {
			t.Errorf("granted for good: %+v", st)
		}
	})
}

func TestAWithdrawnGrantEndsInRoomLeft(t *testing.T) {
	asking(t, func(t *testing.T, r *rig, a *authorizer) {
		a.will(grantFor(time.Minute))
		ann, bob := r.user("ann"), r.user("bob")
		ann.ask(joinDeal, joinedDeal)
		bob.ask(joinDeal, joinedDeal)
		ann.heard()
		a.will(func(ctx context.Context) (auth.Grant, error) {
			return auth.Grant{Allowed: ctx.Value(asker{}) == "bob"}, nil
		})
		pass(time.Minute + time.Second)
		ann.expect(leftDeal("withdrawn"))
		bob.expect(`{"event":"member_left","data":{"room":"deal:1","userId":"ann"}}`)
		ann.ask(inDeal, failed("", "forbidden"))
		bob.ask(inDeal, `{"event":"x","room":"deal:1","data":1}`)
		ann.expect()
		ann.alive()
		if st := r.router.Stats(); st.Grants != 0 || st.Withdrawn != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestARefusedRejoinWithdrawsTheGrant(t *testing.T) {
	asking(t, func(_ *testing.T, r *rig, a *authorizer) {
		a.will(grantFor(time.Minute))
		ann := r.user("ann")
		ann.ask(joinDeal, joinedDeal)
		a.will(unasked)
		ann.ask(joinDeal, failed("1", "unavailable"))
		ann.ask(inDeal, `{"event":"x","room":"deal:1","data":1}`)
		a.will(denied)
		ann.ask(joinDeal, failed("1", "forbidden"), leftDeal("withdrawn"))
	})
}

func TestAGrantOutlivesAnOutageWithinTheGrace(t *testing.T) {
	asking(t, func(t *testing.T, r *rig, a *authorizer) {
		a.will(grantFor(time.Minute))
		ann := r.user("ann")
		ann.ask(joinDeal, joinedDeal)
		a.took()
		a.will(unasked)
		pass(time.Minute + 4*time.Minute)
		if n := len(a.took()); n < 5 || n > 30 {
			t.Errorf("asked %d times in four minutes", n)
		}
		ann.ask(inDeal, `{"event":"x","room":"deal:1","data":1}`)
		a.will(grantFor(time.Minute))
		pass(time.Minute)
		a.will(unasked) // a new outage has a new grace
		pass(5 * time.Minute)
		ann.ask(inDeal, `{"event":"x","room":"deal:1","data":1}`)
		pass(2 * time.Minute)
		ann.expect(leftDeal("unverified"))
		a.took()
		pass(10 * time.Minute)
		expectAsked(t, a, 0)
	})
}

func TestAGrantThatIsOverAtOnceIsNotAskedForAllTheTime(t *testing.T) {
	asking(t, func(t *testing.T, r *rig, a *authorizer) {
		a.will(func(context.Context) (auth.Grant, error) {
			return auth.Grant{Allowed: true, Until: time.Now().Add(-time.Hour)}, nil
		})
		ann := r.user("ann")
		ann.ask(joinDeal, joinedDeal)
		pass(time.Minute)
		if n := len(a.took()); n > 61 {
			t.Errorf("asked %d times in a minute", n)
		}
	})
}

func TestWhoLeavesIsNotAskedAbout(t *testing.T) {
	for name, leave := range map[string]func(r *rig, c *client){
		"by the client's wish": func(_ *rig, c *client) { c.say(`{"event":"leave_room","data":{"room":"deal:1"}}`) },
		"by a backend's wish": func(r *rig, c *client) {
			if n, err := r.router.Unsubscribe(Target{Connection: c.s.ID()}, "deal:1"); n != 1 || err != nil {
				r.t.Errorf("%d, %v", n, err)
			}
		},
		"with the connection": func(_ *rig, c *client) { c.s.Close(wire.Close{Code: wire.CloseDisconnected}) },
	} {
		t.Run(name, func(t *testing.T) {
			asking(t, func(t *testing.T, r *rig, a *authorizer) {
				a.will(grantFor(time.Minute))
				ann := r.user("ann")
				ann.ask(joinDeal, joinedDeal)
				leave(r, ann)
				synctest.Wait()
				if st := r.router.Stats(); st.Grants != 0 || len(r.router.grants.of) != 0 {
					t.Errorf("%+v", st)
				}
				a.took()
				pass(10 * time.Minute)
				expectAsked(t, a, 0)
			})
		})
	}
}

func TestWhoLeavesWhileAskedAboutStaysOut(t *testing.T) {
	asking(t, func(t *testing.T, r *rig, a *authorizer) {
		a.will(grantFor(time.Minute))
		ann := r.user("ann")
		ann.ask(joinDeal, joinedDeal)
		answer := make(chan struct{})
		a.will(func(ctx context.Context) (auth.Grant, error) { <-answer; return grantFor(time.Minute)(ctx) })
		pass(time.Minute + tick)
		ann.ask(`{"event":"leave_room","id":2,"data":{"room":"deal:1"}}`, `{"event":"room_left","id":2,"data":{"room":"deal:1"}}`)
		close(answer)
		pass(10 * time.Minute)
		ann.expect()
		if st := r.router.Stats(); st.Grants != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestAConnectionThatEndsWhileAskedAboutLeavesNothing(t *testing.T) {
	asking(t, func(t *testing.T, r *rig, a *authorizer) {
		answer := make(chan struct{})
		a.will(func(ctx context.Context) (auth.Grant, error) { <-answer; return grantFor(time.Minute)(ctx) })
		ann := r.user("ann")
		ann.say(joinDeal)
		r.router.DisconnectUser("ann")
		close(answer)
		synctest.Wait()
		if st := r.router.Stats(); st.Grants != 0 || len(r.router.grants.of) != 0 {
			t.Errorf("%+v", st)
		}
		r.empty()
	})
}

func TestAReplacedPolicyEndsOrFreesWhatWasGranted(t *testing.T) {
	for word, want := range map[string][]string{"nobody": {leftDeal("withdrawn")}, "anyone": nil} {
		t.Run(word, func(t *testing.T) {
			asking(t, func(t *testing.T, r *rig, a *authorizer) {
				a.will(grantFor(time.Minute))
				ann := r.user("ann")
				ann.ask(joinDeal, joinedDeal)
				r.live.Set(parse(t, `{version: 1, rooms: [{match: "deal:*", join: `+word+`, publish: member}]}`))
				a.took()
				pass(time.Minute + tick)
				ann.expect(want...)
				pass(10 * time.Minute)
				expectAsked(t, a, 0)
			})
		})
	}
}

func TestManyGrantsAtOnceAskOnlySoManyQuestionsAtOnce(t *testing.T) {
	asking(t, func(t *testing.T, r *rig, a *authorizer) {
		a.will(grantFor(time.Minute))
		const n = 300
		for i := range n {
			r.user(fmt.Sprint("u", i)).ask(joinDeal, joinedDeal)
		}
		a.took()
		a.will(func(ctx context.Context) (auth.Grant, error) {
			time.Sleep(time.Second)
			return grantFor(time.Hour)(ctx)
		})
		a.mu.Lock()
		a.most = 0
		a.mu.Unlock()
		pass(2 * time.Minute)
		if got := len(a.took()); got != n || a.most != grantAskers {
			t.Errorf("asked %d times, %d at once", got, a.most)
		}
	})
}

func TestAShutdownDoesNotWithdraw(t *testing.T) {
	asking(t, func(_ *testing.T, r *rig, a *authorizer) {
		a.will(grantFor(time.Minute))
		ann := r.user("ann")
		ann.ask(joinDeal, joinedDeal)
		a.will(func(ctx context.Context) (auth.Grant, error) { <-ctx.Done(); return auth.Grant{}, nil })
		pass(time.Minute + tick)
		r.stop()
		synctest.Wait()
		ann.expect()
		ann.alive()
	})
}
