package presence

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestMembersSeeUsersOfAllInstances(t *testing.T) {
	for name, cfg := range map[string]func(*testing.T) *world{
		"one Redis": func(t *testing.T) *world { return newWorld(t, redistest.Single(t).Config(), "a", "b", "c") },
		"a cluster": func(t *testing.T) *world {
			return newWorld(t, redistest.ClusterConfig(redistest.Cluster(t)), "a", "b", "c")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := cfg(t)
			a, b, c := w.all[0], w.all[1], w.all[2]
			ann := a.in("ann", "x")
			ann.expect("joined ann")
			bob := b.in("bob", "x")
			bob.expect("joined ann bob")
			ann.expect("member_joined x bob")
			bob2 := c.in("bob", "x") // is there already
			bob2.expect("joined ann bob")
			ann.expect()
			bob.leave("x")
			ann.expect()
			bob2.expect()
			bob2.leave("x") // a wish: at once
			ann.expect("member_left x bob")
			cid := c.in("cid", "quiet")
			cid.expect("joined null")
			dan := a.in("dan", "quiet")
			dan.leave("quiet")
			cid.expect()
			page, err := b.hub.PresenceEverywhere(t.Context(), "quiet", "", 10)
			if err != nil || fmt.Sprint(page) != "{[cid]  1}" {
				t.Errorf("who is in a room without presence: %+v, %v", page, err)
			}
		})
	}
}

func TestALostUserMayComeBackOnAnotherInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, redistest.Single(t).Config(), "a", "b")
	a, b := w.all[0], w.all[1]
	ann, bob := a.in("ann", "x"), b.in("bob", "x")
	ann.heard()
	bob.lost()  // the last on its instance
	b.settled() // that he is counted no more is written in a moment
	if page, err := b.hub.PresenceEverywhere(t.Context(), "x", "", 10); err != nil || fmt.Sprint(page) != "{[ann bob]  1}" {
		t.Errorf("in the grace here: %+v, %v", page, err)
	}
	if page, err := a.hub.PresenceEverywhere(t.Context(), "x", "", 10); err != nil || fmt.Sprint(page) != "{[ann bob]  1}" {
		t.Errorf("in the grace there: %+v, %v", page, err)
	}
	bob = a.in("bob", "x")
	bob.expect("joined ann bob")
	cid := b.in("cid", "x")
	cid.expect("joined ann bob cid")
	ann.expect("member_joined x cid")
	cid.lost()
	cid = b.in("cid", "x") // back where it was
	eventually(t, "bob's grace is over", func() bool { return b.dir.Stats().Lingering == 0 })
	ann.expect()
	bob.leave("x")
	ann.expect("member_left x bob")
	cid.expect("joined ann bob cid", "member_left x bob")
}

// Users who come to, or leave, two instances in the same moment come and leave
// once.
func TestWhatHappensOnTwoInstancesAtOnceIsToldOnce(t *testing.T) {
	w := newWorld(t, redistest.Single(t).Config(), "a", "b", "c")
	a, b, c := w.all[0], w.all[1], w.all[2]
	ann := c.in("ann", "x")
	one, two := a.connect("bob"), b.connect("bob")
	w.settled()
	ann.heard()
	for n := range 100 {
		both := func(f func(p *person)) {
			var wg sync.WaitGroup
			for _, p := range []*person{one, two} {
				wg.Go(func() { f(p) })
			}
			wg.Wait()
		}
		both(func(p *person) { p.join("x") })
		if ann.expect("member_joined x bob"); t.Failed() {
			t.Fatalf("round %d", n)
		}
		both(func(p *person) { p.leave("x") })
		if ann.expect("member_left x bob"); t.Failed() {
			t.Fatalf("round %d", n)
		}
	}
}

func TestARoomThatIsLargeOnAllInstancesTellsACount(t *testing.T) {
	w := newWorld(t, redistest.Single(t).Config(), "a", "b")
	a, b := w.all[0], w.all[1]
	ann := a.in("ann", "x")
	var others []*person
	for n := range 99 {
		p := w.all[n%2].connect(fmt.Sprintf("u%02d", n))
		p.join("x")
		others = append(others, p)
	}
	w.settled()
	if got := ann.heard(); len(got) != 1+99 || !strings.HasPrefix(got[99], "member_joined x u") {
		t.Errorf("a room of 100 told %d: %q", len(got), got)
	}
	zoe := b.in("zoe", "x")
	zoe.expect("joined 101")
	ann.expect()
	others[0].leave("x")
	ann.expect("member_left x u00")
	zoe.leave("x")
	ann.expect("member_left x zoe")
}

func TestListingsSpanInstancesAndArePaged(t *testing.T) {
	w := newWorld(t, redistest.Single(t).Config(), "a", "b", "c")
	a := w.all[0]
	for n := range 60 {
		p := w.all[n%3].connect(fmt.Sprintf("u%02d", n%50)) // ten of them twice
		p.join("x")
		p.join(fmt.Sprintf("r:%02d", n/4))
	}
	w.settled()
	var users []string
	for after, pages := "", 0; ; pages++ {
		page, err := a.hub.PresenceEverywhere(t.Context(), "x", after, 7)
		if err != nil || page.Count != 60 || len(page.Users) > 7 {
			t.Fatalf("%+v, %v", page, err)
		}
		users = append(users, page.Users...)
		if after = page.Next; after == "" {
			break
		}
	}
	if len(users) != 50 || !slices.IsSorted(users) || len(slices.Compact(users)) != 50 {
		t.Errorf("%d users: %q", len(users), users)
	}
	var rooms []hub.RoomCount
	for after := ""; ; {
		page, more, err := a.dir.Rooms(t.Context(), "r:", after, 4)
		if err != nil || len(page) > 4 {
			t.Fatalf("%+v, %v", page, err)
		}
		rooms = append(rooms, page...)
		if !more {
			break
		}
		after = page[len(page)-1].Room
	}
	total := 0
	for n, r := range rooms {
		total += r.Connections
		if r.Room != fmt.Sprintf("r:%02d", n) {
			t.Errorf("%v is the %dth room", r, n)
		}
	}
	if len(rooms) != 15 || total != 40 {
		t.Errorf("%d connections elsewhere in %v", total, rooms)
	}
	for _, c := range []struct{ prefix, after, first string }{
		{"", "", "r:00"}, {"", "r:13", "r:14"}, {"x", "r:", "x"}, {"user:", "user:u4", "user:u40"}, {"y", "", ""}, {"r:", "x", ""},
	} {
		page, _, err := a.dir.Rooms(t.Context(), c.prefix, c.after, 1)
		if err != nil || len(page) > 1 || (c.first == "") != (len(page) == 0) || c.first != "" && page[0].Room != c.first {
			t.Errorf("%+v: %v, %v", c, page, err)
		}
	}
	for _, i := range w.all[1:] {
		if err := i.dir.Keep(t.Context()); err != nil {
			t.Error(err)
		}
	}
	sum, err := a.dir.Census(t.Context())
	if err != nil || sum.Connections != 40 || sum.Memberships != 120 || sum.Users != 40 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// Members hear of users who come and go while they join, too.
func TestAJoinMeetsWhoComesMeanwhile(t *testing.T) {
	w := newWorld(t, redistest.Single(t).Config(), "a", "b")
	a, b := w.all[0], w.all[1]
	for n := range 50 {
		room := fmt.Sprint("x", n)
		ann, bob := a.connect("ann"), b.connect("bob")
		var wg sync.WaitGroup
		wg.Go(func() { ann.join(room) })
		wg.Go(func() { bob.join(room) })
		wg.Wait()
		w.settled()
		for _, p := range []*person{ann, bob} {
			other := "bob"
			if p == bob {
				other = "ann"
			}
			if got := strings.Join(p.heard(), " "); !strings.Contains(got, other) {
				t.Fatalf("%s knows nothing of %s: %q", p.s.Identity().UserID, other, got)
			}
		}
		ann.lost()
		bob.lost()
	}
}

func TestKeysExpireWithTheirInstance(t *testing.T) {
	s := redistest.Single(t)
	w := newWorld(t, s.Config(), "a")
	w.all[0].in("ann", "x")
	acc := w.all[0].account()
	if err := acc.Enter(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	w.settled()
	defer acc.Close()
	keys, err := s.Client().Keys(t.Context(), "w:*{a}*").Result()
	if err != nil || len(keys) != 6 {
		t.Fatalf("%q, %v", keys, err)
	}
	for _, key := range keys {
		if ttl := s.Client().PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Minute {
			t.Errorf("%s lives %v", key, ttl)
		}
	}
}

// Over the broker on Redis notices arrive a moment later.
func TestNoticesComeThroughTheBroker(t *testing.T) {
	for name, cfg := range map[string]func() redisconn.Config{
		"of one Redis": func() redisconn.Config { return redistest.Single(t).Config() },
		"of a cluster": func() redisconn.Config { return redistest.ClusterConfig(redistest.Cluster(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := (&world{t: t, cfg: cfg(), shared: true}).with("a", "b", "c")
			ann, bob := w.all[0].in("ann", "x"), w.all[1].in("bob", "x")
			heard := func(p *person, want string) {
				t.Helper()
				eventually(t, p.s.Identity().UserID+" hears that "+want, func() bool { return slices.Contains(p.heard(), want) })
			}
			heard(ann, "member_joined x bob")
			cid := w.all[2].in("cid", "x")
			heard(cid, "joined ann bob cid")
			heard(ann, "member_joined x cid")
			heard(bob, "member_joined x cid")
			ann.leave("x")
			heard(bob, "member_left x ann")
			heard(cid, "member_left x ann")
			for _, i := range w.all {
				if s := i.dir.Stats(); s.Unheard != 0 || s.Failures != 0 {
					t.Errorf("%s: %+v", i.inc, s)
				}
			}
		})
	}
}
