package presence

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// written is what an instance has in Redis.
func (i *instance) written() string {
	i.t.Helper()
	ctx, c := context.Background(), i.redis.Client()
	members, err := c.ZRange(ctx, i.dir.keys.members(i.inc), 0, -1).Result()
	if err != nil {
		i.t.Fatal(err)
	}
	rooms := c.ZRange(ctx, i.dir.keys.rooms(i.inc), 0, -1).Val()
	counts := c.HGetAll(ctx, i.dir.keys.counts(i.inc)).Val()
	if len(counts) != len(rooms) {
		i.t.Errorf("%d rooms and %d counts", len(rooms), len(counts))
	}
	for n, room := range rooms {
		rooms[n] += "=" + counts[room]
	}
	return strings.ReplaceAll(strings.Join(members, " "), "\x00", "/") + " | " + strings.Join(rooms, " ")
}

func (i *instance) expectWritten(want string) {
	i.t.Helper()
	i.settled()
	if got := i.written(); got != want {
		i.t.Errorf("%s has written %q, want %q", i.inc, got, want)
	}
}

func TestWhatRedisLosesIsWrittenAnew(t *testing.T) {
	s := redistest.Single(t)
	w := newWorld(t, s.Config(), "a", "b")
	a, b := w.all[0], w.all[1]
	ann, bob := a.in("ann", "x"), b.in("bob", "x")
	lost := b.in("cid", "x")
	lost.lost()
	a.expectWritten("x/ann | user:ann=1 x=1")
	b.expectWritten("x/bob x/cid | user:bob=1 x=1")
	ann.heard()
	bob.heard()
	if err := s.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for _, i := range w.all {
		if err := i.dir.Keep(t.Context()); err != nil {
			t.Error(err)
		}
	}
	a.expectWritten("x/ann | user:ann=1 x=1")
	b.expectWritten("x/bob x/cid | user:bob=1 x=1")
	if err := s.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	ann.join("y") // the next write finds out
	a.expectWritten("x/ann y/ann | user:ann=1 x=1 y=1")
	ann.expect("joined ann")
	bob.expect() // and nobody is told anything
}

func TestWhatIsInRedisBesidesIsSweptOut(t *testing.T) {
	s := redistest.Single(t)
	w := newWorld(t, s.Config(), "a")
	a := w.all[0]
	a.in("ann", "x")
	acc := a.account()
	if err := acc.Enter(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	defer acc.Close()
	ctx, k := t.Context(), a.dir.keys
	for n := range 1000 {
		name := fmt.Sprint("z", n)
		_, err := s.Client().TxPipelined(ctx, func(pipe redisPipe) error {
			pipe.ZAdd(ctx, k.members("a"), one(name+"\x00ghost"))
			pipe.ZAdd(ctx, k.rooms("a"), one(name))
			pipe.HSet(ctx, k.counts("a"), name, 1)
			pipe.HSet(ctx, k.users("a"), name, 1)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	a.dir.ReplicationChanged(nil)
	a.expectWritten("x/ann | user:ann=1 x=1")
	if users := s.Client().HGetAll(ctx, k.users("a")).Val(); len(users) != 1 || users["ann"] != "1" {
		t.Errorf("users %v", users)
	}
}

func TestWithoutRedisMembersSeeTheirOwnInstance(t *testing.T) {
	s := redistest.Single(t, "--appendonly", "yes")
	w := newWorld(t, s.Config(), "a", "b")
	a, b := w.all[0], w.all[1]
	ann, bob := a.in("ann", "x"), b.in("bob", "x")
	ann.expect("joined ann", "member_joined x bob")
	s.Kill()
	cid := a.connect("cid")
	cid.join("x")
	if got := cid.heard(); len(got) != 1 || got[0] != "joined ann cid" {
		t.Errorf("without Redis cid was told %q", got)
	}
	eventually(t, "ann hears of cid", func() bool { return slices.Contains(ann.heard(), "member_joined x cid") })
	if page, err := a.hub.PresenceEverywhere(t.Context(), "x", "", 10); err == nil || fmt.Sprint(page) != "{[ann cid]  2}" {
		t.Errorf("a page without Redis: %+v, %v", page, err)
	}
	if _, _, err := a.dir.Rooms(t.Context(), "", "", 10); err == nil {
		t.Error("rooms elsewhere are known without Redis")
	}
	bob.heard()
	s.Restart()
	w.settled()
	a.expectWritten("x/ann x/cid | user:ann=1 user:cid=1 x=2")
	b.expectWritten("x/bob | user:bob=1 x=1")
	eventually(t, "bob hears of cid", func() bool { return slices.Contains(bob.heard(), "member_joined x cid") })
	if page, err := b.hub.PresenceEverywhere(t.Context(), "x", "", 10); err != nil || fmt.Sprint(page) != "{[ann bob cid]  3}" {
		t.Errorf("a page with Redis again: %+v, %v", page, err)
	}
}

func TestASurvivorTellsWhoHasGoneWithAnInstance(t *testing.T) {
	w := newWorld(t, redistest.Single(t).Config(), "a", "b", "c")
	a, b, c := w.all[0], w.all[1], w.all[2]
	ann, bob := a.in("ann", "x"), b.in("bob", "x")
	c.in("cid", "x")
	c.in("dan", "x")
	dan := a.in("dan", "x") // has come back elsewhere
	for n := range 600 {
		c.connect(fmt.Sprint("u", n)).join("quiet")
	}
	c.in("eve", "y")
	w.settled()
	ann.heard()
	bob.heard()
	c.leave() // as if it had been killed, a while ago
	if err := c.redis.Client().PExpire(t.Context(), c.dir.keys.summary("c"), 40*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	for _, i := range []*instance{a, b} {
		i.dir.Gone("c")
	}
	eventually(t, "somebody tells", func() bool { return a.dir.Stats().Buried+b.dir.Stats().Buried == 1 })
	eventually(t, "nothing is left of it but its grave", func() bool {
		keys := a.redis.Client().Keys(t.Context(), "w:*{c}*").Val()
		return len(keys) == 1 && keys[0] == a.dir.keys.grave("c")
	})
	ann.expect("member_left x cid")
	bob.expect("member_left x cid")
	dan.expect("joined ann bob cid dan", "member_left x cid")

	// It had only been stopped, and finds out.
	c.comeBack()
	if err := c.dir.Keep(t.Context()); err != nil {
		t.Error(err)
	}
	w.settled()
	ann.expect("member_joined x cid")
	if n := c.redis.Client().ZCard(t.Context(), c.dir.keys.members("c")).Val(); n != 603 {
		t.Errorf("%d of its members are written again", n)
	}
	if left := c.redis.Client().Exists(t.Context(), c.dir.keys.grave("c")).Val(); left != 0 {
		t.Error("it is still in its grave")
	}
}

func TestUsersOfAnInstanceThatStopsInOrderHaveAGrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, redistest.Single(t).Config(), "a", "b")
	a, b := w.all[0], w.all[1]
	ann, bob, cid := a.in("ann", "x"), b.in("bob", "x"), b.in("cid", "x")
	ann.heard()
	bob.lost()
	cid.lost()
	b.stop()
	b.leave()
	a.dir.Gone("b")
	a.in("bob", "x").expect("joined ann bob")
	eventually(t, "cid is told to have left", func() bool { return slices.Contains(ann.heard(), "member_left x cid") })
	ann.expect()
}

// Whatever happens at once, what is written in the end is what is there, and
// what members were told of adds up to it.
func TestChurnConverges(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t)
	w := newWorld(t, s.Config(), "a", "b", "c")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	watchers := map[string]*person{}
	for n := range 4 {
		room := fmt.Sprint("x", n)
		watchers[room] = w.all[n%3].in("zoe", room)
	}
	var wg sync.WaitGroup
	for n, i := range w.all {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(n)))
			var here []*person
			for range 300 {
				room := fmt.Sprint("x", r.IntN(4))
				switch k := r.IntN(4); {
				case k == 0 || len(here) == 0:
					here = append(here, i.connect(fmt.Sprint("u", r.IntN(8))))
				case k == 1:
					here[r.IntN(len(here))].join(room)
				case k == 2:
					here[r.IntN(len(here))].leave(room)
				case r.IntN(4) == 0:
					at := r.IntN(len(here))
					here[at].lost()
					here = slices.Delete(here, at, at+1)
				}
				if r.IntN(100) == 0 {
					i.dir.ReplicationChanged(nil)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "all graces are over", func() bool {
		n := 0
		for _, i := range w.all {
			n += i.dir.Stats().Lingering
		}
		return n == 0
	})
	w.settled()
	for room, zoe := range watchers {
		there := map[string]bool{}
		for _, i := range w.all {
			for _, user := range i.hub.Presence(room, "").Users {
				there[user] = true
			}
		}
		page, err := zoe.at.hub.PresenceEverywhere(t.Context(), room, "", 100)
		if err != nil || len(page.Users) != len(there) {
			t.Errorf("%s: listed %q, there %v, %v", room, page.Users, there, err)
		}
		told := map[string]bool{}
		for _, e := range zoe.heard() {
			words := strings.Fields(e)
			switch words[0] {
			case "joined":
				for _, user := range words[1:] {
					told[user] = true
				}
			case "member_joined":
				told[words[2]] = true
			case "member_left":
				delete(told, words[2])
			}
		}
		if fmt.Sprint(told) != fmt.Sprint(there) {
			t.Errorf("%s: members were told of %v, there are %v", room, told, there)
		}
	}
}
