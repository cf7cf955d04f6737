package hub

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func came(user string) string { return `member_joined {"room":"x","userId":"` + user + `"}` }
func went(user string) string { return `member_left {"room":"x","userId":"` + user + `"}` }

// inBubble runs a test whose time passes at once.
func inBubble(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		defer r.stop()
		f(t, r)
	})
}

func (r *room) gracesNow() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.graces)
}

func (r *rig) in(id, room string) *member {
	m := r.user(id)
	m.join(room, wire.Position{})
	return m
}

func TestMembersSeeUsersComeAndGo(t *testing.T) {
	inBubble(t, func(_ *testing.T, r *rig) {
		a := r.in("ann", "x")
		a.expect("joined x at 1.0 1[ann]")
		b := r.in("bob", "x")
		b.expect("joined x at 1.0 2[ann bob]")
		a.expect(came("bob"))
		r.hub.Leave(b.s, "x") // a wish: at once
		a.expect(went("bob"))
		b.expect()
		quiet := r.in("cid", "quiet")
		quiet.expect("joined quiet at 1.0")
		r.in("dan", "quiet").gone()
		quiet.expect()
	})
}

func TestALostUserHasAGrace(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		a, b := r.in("ann", "x"), r.in("bob", "x")
		a.Sent()
		b.gone()
		time.Sleep(PresenceGrace - time.Second)
		a.expect()
		if page := r.hub.Presence("x", ""); fmt.Sprint(page.Users, page.Count) != "[ann bob] 1" {
			t.Errorf("in the grace: %+v", page)
		}
		r.in("cid", "x").expect("joined x at 1.0 3[ann bob cid]")
		a.expect(came("cid"))

		b = r.in("bob", "x") // back in time
		time.Sleep(time.Minute)
		a.expect()
		b.gone()
		time.Sleep(PresenceGrace + time.Second)
		a.expect(went("bob"))
		r.in("bob", "x")
		a.expect(came("bob"))
	})
}

func TestTheConnectionsOfAUserAreOneMember(t *testing.T) {
	inBubble(t, func(_ *testing.T, r *rig) {
		a, one := r.in("ann", "x"), r.in("bob", "x")
		a.Sent()
		two := r.in("bob", "x")
		two.expect("joined x at 1.0 2[ann bob]")
		one.gone()
		time.Sleep(time.Minute)
		a.expect()
		three := r.in("bob", "x")
		r.hub.Leave(two.s, "x")
		a.expect()
		three.gone()
		time.Sleep(time.Second)
		two.join("x", wire.Position{})
		two.join("x", wire.Position{}) // again is no news
		time.Sleep(time.Minute)
		a.expect()
		r.hub.Leave(two.s, "x")
		a.expect(went("bob"))
	})
}

// Who never got in is not seen, and not missed.
func TestAFailedJoinIsNotSeen(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		a := r.in("ann", "x")
		a.Sent()
		b := r.user("bob")
		r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
			if page := r.hub.Presence("x", ""); fmt.Sprint(page.Users) != "[ann]" {
				t.Errorf("while bob joins: %v", page.Users)
			}
			return broker.Page{}, errAway
		}
		if err := r.hub.Join(t.Context(), b.s, "x", wire.Position{}, reply); !errors.Is(err, errAway) {
			t.Errorf("%v", err)
		}
		c := r.user("cid")
		r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
			c.gone()
			return broker.Page{Top: wire.Position{Epoch: 1}}, nil
		}
		c.join("x", wire.Position{})
		time.Sleep(time.Minute)
		a.expect()
	})
}

func TestALargeRoomTellsACount(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		a, lost := r.in("ann", "x"), r.in("zoe", "x")
		lost.gone()
		others := make([]*member, presenceLimit)
		for i := range others {
			others[i] = r.in(fmt.Sprintf("u%03d", i), "x")
		}
		if n := len(a.heard()); n != 1+1+presenceLimit-1 { // the one that passes the limit is not told
			t.Errorf("%d frames", n)
		}
		others[presenceLimit-1].expect("joined x at 1.0 101[]")
		back := r.in("zoe", "x") // within her grace
		time.Sleep(time.Minute)
		a.expect()
		r.hub.Leave(others[0].s, "x")
		a.expect()
		others[1].gone() // at 100 and fewer it tells again
		time.Sleep(time.Minute)
		a.expect(went("u001"))
		r.hub.Leave(others[2].s, "x")
		a.expect(went("u002"))
		back.gone()
		time.Sleep(time.Minute)
		a.expect(went("zoe"))
	})
}

func TestAGraceThatEndsInALargeRoomIsNotTold(t *testing.T) {
	inBubble(t, func(_ *testing.T, r *rig) {
		a, lost := r.in("ann", "x"), r.in("zoe", "x")
		a.Sent()
		lost.gone()
		for i := range presenceLimit {
			r.in(fmt.Sprint("u", i), "x")
		}
		a.Sent()
		time.Sleep(time.Minute)
		a.expect()
	})
}

func TestThePolicyMayTakePresenceAwayInAGrace(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		a, b := r.in("ann", "x"), r.in("bob", "x")
		a.Sent()
		b.gone()
		r.setRule(&policy.Room{})
		b = r.in("bob", "x")
		time.Sleep(time.Second)
		b.gone()
		time.Sleep(time.Minute)
		a.expect()
		r.setRule(&policy.Room{Presence: true})
		c := r.in("cid", "x")
		a.expect(came("cid"))
		c.gone()
		r.setRule(&policy.Room{})
		time.Sleep(time.Minute)
		a.expect()
		if n := r.hub.find("x").gracesNow(); n != 0 {
			t.Errorf("%d graces", n)
		}
	})
}

func TestGracesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		a := r.in("ann", "x")
		a.Sent()
		for i := range presenceLimit {
			r.in(fmt.Sprint("u", i), "x").gone()
		}
		a.Sent()
		room := r.hub.find("x")
		if n := room.gracesNow(); n != presenceLimit {
			t.Errorf("%d graces", n)
		}
		r.in("one more", "x").gone() // is told at once
		a.expect(came("one more"), went("one more"))
		a.gone() // and the last one takes all with it
		if room.gracesNow() != 0 {
			t.Error("graces of an empty room")
		}
		r.empty()
		b := r.in("bob", "x")
		b.expect("joined x at 1.0 1[bob]")
		time.Sleep(time.Minute)
		b.expect()
	})
}

func TestListingsArePaged(t *testing.T) {
	r := start(t)
	defer r.stop()
	if page := r.hub.Presence("x", ""); page.Users == nil || len(page.Users) != 0 || page.Count != 0 {
		t.Errorf("of no room: %+v", page)
	}
	const n = 2*PresencePage + 500
	for i := range n {
		r.connect(fmt.Sprintf("u%05d", n-i), pipe.NewDiscard).join("x", wire.Position{})
		if i%10 == 0 { // some twice
			r.connect(fmt.Sprintf("u%05d", n-i), pipe.NewDiscard).join("x", wire.Position{})
		}
	}
	after, seen := "", 0
	for pages := 1; ; pages++ {
		page := r.hub.Presence("x", after)
		if page.Count != n+n/10 {
			t.Errorf("%d connections", page.Count)
		}
		for _, user := range page.Users {
			if seen++; user != fmt.Sprintf("u%05d", seen) {
				t.Fatalf("%s is the %dth", user, seen)
			}
		}
		if page.Next == "" {
			if pages != 3 || seen != n {
				t.Errorf("%d users on %d pages", seen, pages)
			}
			break
		}
		if len(page.Users) != PresencePage || page.Next != page.Users[PresencePage-1] {
			t.Errorf("%d users, next %q", len(page.Users), page.Next)
		}
		after = page.Next
	}
	if page := r.hub.Presence("x", "u00001x"); page.Users[0] != "u00002" {
		t.Errorf("after one who left: %s", page.Users[0])
	}
	if page := r.hub.Presence("x", "v"); len(page.Users) != 0 || page.Next != "" {
		t.Errorf("behind the last: %+v", page)
	}
}
