package router

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// hello is a client with an account.
func hello(t *testing.T, l *limit.Limiter, identity *auth.Identity) session.Hello {
	t.Helper()
	a, ok := l.Open(session.Hello{}.Peer)
	if !ok {
		t.Fatal("refused")
	}
	return session.Hello{Account: a, Identity: identity}
}

func rated() *limit.Limiter {
	return limit.New(limit.Config{
		RateLimiting: true, MessageRate: 5, UserMessageRate: 8, JoinRate: 1, UserJoinRate: 1, RateBurst: time.Second, MaxPerUser: 2,
	})
}

// heard is all that a client was sent since it was last asked.
func heard(c *client) string {
	var b strings.Builder
	for _, f := range c.Sent() {
		b.Write(f.Payload())
	}
	return b.String()
}

func TestWhoSendsTooFastIsToldAndThenDisconnected(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		c := r.open(hello(t, rated(), &auth.Identity{UserID: "ann"}))
		for range 5 {
			c.Text(`{"event":"ping"}`)
		}
		c.Text(`{"event":"ping","id":6}`)
		c.Text(`nothing`) // counts as well
		synctest.Wait()
		got := heard(c)
		if n := strings.Count(got, `"pong"`); n != 5 {
			t.Errorf("%d of 5 were served", n)
		}
		if strings.Count(got, `rate_limited`) != 2 || strings.Count(got, `"id":6`) != 1 || strings.Contains(got, "invalid_message") {
			t.Errorf("of two too many the client was told %s", got)
		}
		time.Sleep(time.Second)
		c.Text(`{"event":"join_room","data":{"room":"open:a"}}`)
		c.Text(`{"event":"join_room","data":{"room":"open:b"}}`)
		c.Text(`{"event":"ping"}`)
		synctest.Wait()
		got = heard(c)
		if !strings.Contains(got, `"open:a"`) || strings.Contains(got, `"open:b"`) || strings.Count(got, `"pong"`) != 1 {
			t.Errorf("joins have no rate of their own: %s", got)
		}
		for range 20 {
			c.Text(`{"event":"ping"}`)
		}
		c.Wait()
		if why, ended := c.Ended(); !ended || why.Code != wire.CloseLimit {
			t.Errorf("ended %v with %v", ended, why)
		}
	})
}

func TestAUserWithTooManyConnectionsGetsNoOther(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		l := rated()
		ann := &auth.Identity{UserID: "ann"}
		first, second := r.open(hello(t, l, ann)), r.open(hello(t, l, ann))
		third, fourth := r.open(hello(t, l, ann)), r.open(hello(t, l, nil))
		fourth.Text(`{"event":"authenticate","data":{"token":"u:ann"}}`)
		synctest.Wait() // the token is checked on a goroutine of the router
		for i, c := range []*client{third, fourth} {
			why, _ := c.Ended()
			got := heard(c)
			if why.Code != wire.CloseLimit || strings.Count(got, "limit_exceeded") != 1 || strings.Contains(got, `"connected"`) || strings.Contains(got, `"authenticated"`) {
				t.Errorf("client %d ended with %v after %s", i, why, got)
			}
		}
		first.Close(wire.Close{Code: wire.CloseNoStatus})
		synctest.Wait()
		fifth := r.open(hello(t, l, ann))
		synctest.Wait()
		if got := heard(fifth); !strings.Contains(got, `"connected"`) {
			t.Errorf("there was room again, and the client was told %s", got)
		}
		second.Text(`{"event":"ping"}`)
		synctest.Wait()
		if !strings.Contains(heard(second), `"pong"`) {
			t.Error("who was there is not served")
		}
	})
}

func TestSessionsWithoutIdentityAreCounted(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		expect := func(when string, want int64) {
			t.Helper()
			synctest.Wait()
			if n := r.router.Pending(); n != want {
				t.Errorf("%s: %d", when, n)
			}
		}
		r.open(sessionOf("ann"))
		expect("with an identity", 0)
		bob, left, late := r.open(session.Hello{}), r.open(session.Hello{}), r.open(session.Hello{})
		r.open(session.Hello{Fault: wire.NewError(wire.Unauthenticated, "no")}).Wait()
		expect("three wait", 3)
		bob.Text(`{"event":"authenticate","data":{"token":"u:bob"}}`)
		expect("one has authenticated", 2)
		bob.Text(`{"event":"authenticate","data":{"token":"u:bob"}}`)
		bob.Close(wire.Close{Code: wire.CloseNoStatus})
		left.Close(wire.Close{Code: wire.CloseNoStatus})
		expect("one has left", 1)
		time.Sleep(time.Minute)
		late.Wait()
		expect("one was late", 0)
	})
}
