package router

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// with connects a user who presented a token.
func (r *rig) with(user, token string) *client {
	return r.open(session.Hello{Identity: &auth.Identity{UserID: user, Token: auth.DigestOf(token)}})
}

func TestADisconnectedClientMayComeBack(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		a, b, other := r.user("ann"), r.user("ann"), r.user("bob")
		if !r.router.Disconnect(a.s.ID()) || r.router.Disconnect("nobody") {
			t.Error("disconnect")
		}
		synctest.Wait()
		a.ended(wire.CloseDisconnected)
		b.alive()
		a = r.user("ann")
		if n := r.router.DisconnectUser("ann"); n != 2 {
			t.Errorf("disconnected %d", n)
		}
		if n := r.router.DisconnectUser("zoe"); n != 0 {
			t.Errorf("disconnected %d of nobody", n)
		}
		synctest.Wait()
		a.ended(wire.CloseDisconnected)
		b.ended(wire.CloseDisconnected)
		other.alive()
		r.user("ann").alive()
	})
}

func TestARevokedUserIsOutUntilTheGivenTime(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		a, b, other := r.user("ann"), r.with("ann", "t1"), r.user("bob")
		n, err := r.router.RevokeUser("ann", time.Now().Add(10*time.Minute))
		if n != 2 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		synctest.Wait()
		a.ended(wire.CloseDisconnected)
		b.ended(wire.CloseDisconnected)
		other.alive()
		again := func() {
			t.Helper()
			c := r.with("ann", "another")
			synctest.Wait()
			c.expect(failed("", "unauthenticated"))
			c.ended(wire.CloseUnauthenticated)
			c = r.stranger()
			c.ask(`{"event":"authenticate","id":1,"data":{"token":"u:ann"}}`, failed("1", "unauthenticated"))
			c.ended(wire.CloseUnauthenticated)
		}
		again()
		pass(9 * time.Minute)
		again()
		pass(time.Minute)
		r.user("ann").alive()
		if st := r.router.Stats(); st.Revoked != 2 {
			t.Errorf("%+v", st)
		}
		pass(revocationSweep + tick)
		if st := r.router.Stats(); st.Revocations != 0 {
			t.Errorf("still remembered: %+v", st)
		}
	})
}

func TestARevokedTokenIsOutAndItsUserIsNot(t *testing.T) {
	o := options{}
	o.router.Life.RevocationTTL = 10 * time.Minute
	inBubble(t, o, func(t *testing.T, r *rig) {
		one, same, other := r.with("ann", "u:ann"), r.with("ann", "u:ann"), r.with("ann", "t2")
		guest := r.guest()
		n, err := r.router.RevokeToken("u:ann")
		if n != 2 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		synctest.Wait()
		one.ended(wire.CloseTokenExpired)
		same.ended(wire.CloseTokenExpired)
		other.alive()
		guest.alive()
		other.heard()
		other.ask(`{"event":"authenticate","id":1,"data":{"token":"u:ann"}}`, failed("1", "unauthenticated"))
		other.alive()
		c := r.with("ann", "u:ann")
		synctest.Wait()
		c.ended(wire.CloseUnauthenticated)
		pass(10 * time.Minute)
		c = r.with("ann", "u:ann")
		synctest.Wait()
		c.alive()
	})
}

func TestARevokedTokenIsOutHoweverItsSignatureIsWritten(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		const signed = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ" // {"alg":"HS256"}, {"sub":"ann"}
		one := r.open(session.Hello{Identity: &auth.Identity{UserID: "ann", Token: auth.NameOf(signed + ".AAAA")}})
		if n, err := r.router.RevokeToken(signed + ".AAAB"); n != 1 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		synctest.Wait()
		one.ended(wire.CloseTokenExpired)
	})
}

func TestARefreshLeavesTheRevokedTokenBehind(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		c := r.with("ann", "old")
		synctest.Wait()
		c.heard()
		c.ask(`{"event":"authenticate","id":1,"data":{"token":"u:ann"}}`, `{"event":"authenticated","id":1…`)
		if n, _ := r.router.RevokeToken("old"); n != 0 {
			t.Errorf("ended %d that live by another token", n)
		}
		if n, _ := r.router.RevokeToken("u:ann"); n != 1 {
			t.Errorf("ended %d", n)
		}
		synctest.Wait()
		c.ended(wire.CloseTokenExpired)
	})
}

func TestARevocationWhileTheTokenIsVerifiedCounts(t *testing.T) {
	for name, revoke := range map[string]func(r *rig) (int, error){
		"of the user":  func(r *rig) (int, error) { return r.router.RevokeUser("ann", time.Time{}) },
		"of the token": func(r *rig) (int, error) { return r.router.RevokeToken("u:ann") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, r *rig) {
				answer := make(chan struct{})
				r.verifier.do(func(context.Context, string) error { <-answer; return nil })
				c := r.stranger()
				c.say(`{"event":"authenticate","id":1,"data":{"token":"u:ann"}}`)
				if n, err := revoke(r); n != 0 || err != nil {
					t.Errorf("revoked %d, %v", n, err)
				}
				close(answer)
				synctest.Wait()
				c.expect(failed("1", "unauthenticated"))
				c.ended(wire.CloseUnauthenticated)
			})
		})
	}
}

func TestARevocationWhileTheOwnRoomIsJoinedCounts(t *testing.T) {
	inBubble(t, options{elsewhere: true}, func(t *testing.T, r *rig) {
		revoked := false
		r.remote.do(func(_ context.Context, op, _ string) error {
			if op == "subscribe" && !revoked { // the session has its identity, and no seat yet
				revoked = true
				if n, err := r.router.RevokeUser("ann", time.Time{}); n != 0 || err != nil {
					t.Errorf("revoked %d, %v", n, err)
				}
			}
			return nil
		})
		c := r.with("ann", "t")
		synctest.Wait()
		c.ended(wire.CloseUnauthenticated)
		if !revoked {
			t.Error("not tried")
		}
		r.empty()
	})
}

func TestRevocationsAreBoundedAndSayWhenTheyAreFull(t *testing.T) {
	o := options{}
	o.router.Life.MaxRevocations = 3
	inBubble(t, o, func(t *testing.T, r *rig) {
		soon := time.Now().Add(time.Second)
		for i := range 2 {
			if _, err := r.router.RevokeUser(fmt.Sprint("u", i), soon); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.router.RevokeToken("t"); err != nil {
			t.Fatal(err)
		}
		c := r.user("ann")
		n, err := r.router.RevokeUser("ann", soon)
		if n != 1 || !wire.IsCode(err, wire.LimitExceeded) {
			t.Errorf("revoked %d, %v", n, err)
		}
		synctest.Wait()
		c.ended(wire.CloseDisconnected)
		if _, err := r.router.RevokeUser("u1", soon.Add(time.Hour)); err != nil {
			t.Errorf("one that is there: %v", err)
		}
		pass(time.Second)
		if _, err := r.router.RevokeUser("ann", time.Now().Add(time.Hour)); err != nil {
			t.Errorf("in the place of one that has run out: %v", err)
		}
		if st := r.router.Stats(); st.Revocations != 3 {
			t.Errorf("%+v", st)
		}
	})
}

func TestAShorterRevocationDoesNotReplaceALongerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New()
		w.Start()
		defer w.Stop()
		v := newRevocations(10, w)
		ann := &auth.Identity{UserID: "ann"}
		for _, d := range []time.Duration{-time.Hour, time.Hour, time.Minute, -time.Hour} {
			if err := v.add([]Revocation{{User: "ann", Until: time.Now().Add(d)}}); err != nil {
				t.Fatal(err)
			}
			if v.has(ann) != (d != -time.Hour || v.count.Load() == 1) {
				t.Errorf("after %v: %v", d, v.has(ann))
			}
		}
		pass(59 * time.Minute)
		if !v.has(ann) || v.has(&auth.Identity{UserID: "bob"}) {
			t.Error("within the hour")
		}
		pass(time.Minute)
		if v.has(ann) {
			t.Error("after the hour")
		}
		pass(time.Minute + tick)
		if v.count.Load() != 0 || len(v.users) != 0 {
			t.Error("not forgotten")
		}
	})
}

func TestRevocationsOfOthersAreTakenOverTogether(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		ann, bob, zoe, guest := r.user("ann"), r.with("bob", "t1"), r.with("zoe", "t2"), r.guest()
		hour := time.Now().Add(time.Hour)
		n, err := r.router.Revoke(
			Revocation{User: "ann", Until: hour}, Revocation{Token: auth.NameOf("t1"), Until: hour}, Revocation{Token: auth.NameOf("t9"), Until: hour},
			Revocation{}, // nobody's: guests have no token either
		)
		if n != 2 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		synctest.Wait()
		ann.ended(wire.CloseDisconnected)
		bob.ended(wire.CloseTokenExpired)
		zoe.alive()
		guest.alive()
		if got := r.router.Revocations(); len(got) != 3 {
			t.Errorf("remembers %v", got)
		}
		pass(time.Hour)
		if got := r.router.Revocations(); len(got) != 0 {
			t.Errorf("after the hour it remembers %v", got)
		}
	})
}
