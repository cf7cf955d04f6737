package fleet

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestWhatAKilledInstanceHadIsForgottenAndItsClientsMissNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, on(redistest.Single(t)))
	a, b, doomed := f.add("a"), f.add("b"), f.spawn("doomed")
	f.settle()
	watchers := []*client{a.enter("watcher-a", "room"), b.enter("watcher-b", "room")}
	var members []*member
	for n := range 10 {
		members = append(members, stay(t, fmt.Sprint("member-", n), "room", doomed.socket(), a.socket(), b.socket()))
	}
	for n := range 5 {
		doomed.enter(fmt.Sprint("lost-", n), "room", "own:doomed")
	}
	for _, w := range watchers {
		w.until("everybody", func([]message) bool {
			return w.told("member_joined", "room", "member-9") == 1 && w.told("member_joined", "room", "lost-4") == 1
		})
	}
	until(t, "the others list what it has", func() bool { return a.roomCount("own:doomed") == 5 && b.roomCount("room") == 17 })
	hush := a.talk("room")
	members[0].hears(20)

	begun := time.Now()
	doomed.kill()
	f.forget(doomed.gateway)
	// What the others say while it counts as living, they say at once.
	asked := time.Now()
	doomedUser := func(g *gateway) (count int, missing []string) {
		var list struct {
			Count   int
			Missing []string
		}
		g.get("/api/v1/users/lost-0/connections", &list)
		return list.Count, list.Missing
	}
	doomedUser(a)
	if took := time.Since(asked); took > soon {
		t.Errorf("the dead one was waited for %v", took)
	}
	for _, m := range members {
		until(t, m.user+" is elsewhere", func() bool { return m.home() == "a" || m.home() == "b" })
	}
	t.Logf("members are back after %v", time.Since(begun).Round(time.Millisecond))
	until(t, "it has gone", func() bool {
		return slices.Equal(a.sees(), []string{"a", "b"}) && slices.Equal(b.sees(), []string{"a", "b"})
	})
	t.Logf("it was forgotten after %v", time.Since(begun).Round(time.Millisecond))
	for _, g := range f.all {
		until(t, g.name+" lists nothing of it", func() bool {
			var counts struct{ Connections int }
			g.get("/api/v1/counts", &counts)
			n, missing := doomedUser(g)
			return g.roomCount("own:doomed") == 0 && g.roomCount("room") == 12 && counts.Connections == 12 && n == 0 && missing == nil
		})
	}
	for _, w := range watchers {
		for n := range 5 {
			w.learns("member_left", "room", fmt.Sprint("lost-", n))
		}
	}
	t.Logf("who did not come back was said to have left after %v", time.Since(begun).Round(time.Millisecond))
	last := hush()
	for _, m := range members {
		m.hears(last)
		if len(m.all()) != int(last) {
			t.Errorf("%s has %d of %d", m.user, len(m.all()), last)
		}
	}
	for _, w := range watchers {
		w.flush()
		for _, m := range members {
			if n, joined := w.told("member_left", "room", m.user), w.told("member_joined", "room", m.user); n != 0 || joined != 1 {
				t.Errorf("%s was told %d times that %s has left, %d times that they came", w.user, n, m.user, joined)
			}
		}
		for n := range 5 {
			if n := w.told("member_left", "room", fmt.Sprint("lost-", n)); n != 1 {
				t.Errorf("%s was told %d times that a lost one has left", w.user, n)
			}
		}
		p := w.request("presence", map[string]any{"room": "room"}).data()
		if p.Count != 12 || len(p.users()) != 12 || slices.ContainsFunc(p.users(), func(u string) bool { return strings.HasPrefix(u, "lost-") }) {
			t.Errorf("%s sees %v", w.user, p.users())
		}
	}

	// One of the same name that comes later is another one.
	again := f.spawn("doomed")
	f.settle()
	back := again.connect("lost-0")
	if j := back.join("room", members[0].all()[4].Pos); !j.Recovered || !slices.Contains(j.users(), "member-9") {
		t.Errorf("a resume there: %+v", j)
	}
	if got := back.hears("room", int(last)-5); got[0].Offset != 6 {
		t.Errorf("then %+v", got[0])
	}
	watchers[0].learns("member_joined", "room", "lost-0")
}

func TestRedisMayBeKilledAndComeBack(t *testing.T) {
	t.Parallel()
	// With everysec Redis answers while it holds back what it writes, for up to
	// two seconds, if the disk is still busy with the second before.
	redis := redistest.Single(t, "--appendonly", "yes", "--appendfsync", "always")
	f := newFleet(t, on(redis))
	a, b := f.add("a"), f.add("b")
	f.settle()
	ann, bob := a.enter("ann", "room"), b.enter("bob", "room")
	other := a.enter("other", "room")
	for n := 1; n <= 20; n++ {
		ann.publish("room", 1, n)
	}
	before := bob.hears("room", 20)

	redis.Kill()
	begun := time.Now()
	for _, g := range f.all {
		until(t, g.name+" says that it is not ready", func() bool { return g.ready() == http.StatusServiceUnavailable })
	}
	t.Logf("not ready after %v", time.Since(begun).Round(time.Millisecond))
	_, raw := a.ask(http.MethodGet, "http://"+a.public+"/health", nil)
	if !strings.Contains(string(raw), `{"name":"redis","healthy":false`) {
		t.Errorf("health: %s", raw)
	}
	if status, _ := a.ask(http.MethodGet, "http://"+a.public+"/health/live", nil); status != http.StatusOK {
		t.Errorf("live: %d", status)
	}
	asked := map[*client]int{}
	for p, c := range []*client{ann, bob} {
		asked[c] = c.sendPublish("room", 2+p, 1, "key of "+c.user)
	}
	for c, id := range asked {
		if m := c.reply(id); m.data().Code != "unavailable" || !m.data().Retryable {
			t.Errorf("%s publishes: %s %s", c.user, m.Event, m.Data)
		}
	}
	if status, got := b.post("publish", map[string]any{"room": "room", "event": "m"}); status != http.StatusServiceUnavailable || got.Code != "unavailable" || !got.Retryable {
		t.Errorf("a backend publishes: %d %+v", status, got)
	}
	if m := ann.request("join_room", map[string]any{"room": "elsewhere"}); m.data().Code != "unavailable" || !m.data().Retryable {
		t.Errorf("she joins a room without members: %s %s", m.Event, m.Data)
	}
	for _, c := range []*client{ann, bob, other} {
		c.flush()
	}
	if a.ready() != http.StatusServiceUnavailable || b.ready() != http.StatusServiceUnavailable {
		t.Error("ready without Redis")
	}

	redis.Restart()
	begun = time.Now()
	for p, c := range []*client{ann, bob} { // who was refused tries again
		within(t, begun, c.user+"'s publish is stored", func() bool {
			m := c.reply(c.sendPublish("room", 2+p, 1, "key of "+c.user))
			return m.Event == "published"
		})
	}
	f.settle()
	t.Logf("ready after %v", time.Since(begun).Round(time.Millisecond))
	ann.publish("room", 1, 21)
	for _, c := range []*client{ann, bob, other} {
		all := c.hears("room", 23)
		inOrder(t, c.user, all, 1)
		for _, m := range c.all() {
			if m.Event == "gap" || m.Event == "member_left" {
				t.Errorf("%s got %s %s", c.user, m.Event, m.Data)
			}
		}
	}
	late := b.connect("late")
	if j := late.join("room", before[4].Pos); !j.Recovered || !slices.Contains(j.users(), "ann") {
		t.Errorf("a resume from before: %+v", j)
	}
	late.hears("room", 18)
	ann.learns("member_joined", "room", "late")
	ann.join("elsewhere", "")
}

func TestAGatewayThatIsThereBeforeItsRedisWaitsForIt(t *testing.T) {
	t.Parallel()
	redis := redistest.Single(t)
	redis.Kill()
	f := newFleet(t, on(redis))
	early := f.spawn("early") // a process, as it would crash in a loop
	f.add("other")
	for _, g := range f.all {
		until(t, g.name+" answers", func() bool { return g.ready() != 0 })
		if status := g.ready(); status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", g.name, status)
		}
		_, raw := g.ask(http.MethodGet, "http://"+g.public+"/health", nil)
		if !strings.Contains(string(raw), `{"name":"redis","healthy":false`) {
			t.Errorf("%s: health %s", g.name, raw)
		}
	}
	redis.Restart()
	f.settle()
	serves(t, f)
	select {
	case <-early.ended:
		t.Error("it has ended")
	default:
	}
}

// serves checks that two instances are one gateway: a little of everything.
func serves(t *testing.T, f *fleet) {
	t.Helper()
	a, b := f.all[0], f.all[1]
	room := "smoke"
	ann, bob := a.enter("ann", room), b.enter("bob", room)
	ann.learns("member_joined", room, "bob")
	for n := 1; n <= 10; n++ {
		ann.sendPublish(room, 1, n)
		bob.sendPublish(room, 2, n)
	}
	all := ann.hears(room, 20)
	inOrder(t, "ann", all, 1)
	same(t, "ann", "bob", all, bob.hears(room, 20))
	if ann.publish(room, 1, 11, "key").Pos != b.enter("ann", room).publish(room, 1, 11, "key").Pos {
		t.Error("a key holds on one instance alone")
	}
	late := b.connect("late")
	if j := late.join(room, all[7].Pos); !j.Recovered || !slices.Equal(j.users(), []string{"ann", "bob", "late"}) {
		t.Errorf("resumed as %+v", j)
	}
	same(t, "late", "ann", late.hears(room, 13), ann.hears(room, 21)[8:])

	// Rooms of many slots, for a cluster.
	for n := range 30 {
		room := fmt.Sprint("one-of-many:", n)
		bob.join(room, "")
		a.done("publish", map[string]any{"room": room, "event": "m", "data": n})
	}
	for n := range 30 {
		bob.hears(fmt.Sprint("one-of-many:", n), 1)
	}
	for _, g := range f.all {
		until(t, g.name+" lists them", func() bool { return len(g.rooms("one-of-many:", 100, "")) == 30 })
	}
	a.done("publish", map[string]any{"everyone": true, "event": "news", "data": 1})
	bob.until("the broadcast", func(all []message) bool {
		return slices.ContainsFunc(all, func(m message) bool { return m.Event == "news" })
	})
	if got := a.done("disconnect", map[string]any{"user": "late"}); got.Connections != 1 {
		t.Errorf("disconnected %+v", got)
	}
	late.ended(4003)
	if got := b.done("revoke", map[string]any{"token": "ann"}); got.Connections != 2 {
		t.Errorf("revoked %+v", got)
	}
	ann.ended(4002)
}
