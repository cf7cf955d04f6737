package fleet

import (
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// What the README says in its section "Several instances", as far as no other
// test shows it.

func TestWhatIsMissedOnTheWayIsReadFromTheLog(t *testing.T) {
	t.Parallel()
	redis := redistest.Single(t)
	f := newFleet(t, on(redis))
	a, b := f.add("a"), f.add("b")
	f.settle()
	members := []*client{a.enter("ann", "room"), b.enter("bob", "room")}
	hush := a.talk("room")
	cuts := 0
	for n := 1; n <= 5; n++ { // the connections that messages come by
		members[1].hears("room", 20*n)
		killed, err := redis.Client().ClientKillByFilter(t.Context(), "TYPE", "pubsub").Result()
		if err != nil {
			t.Fatal(err)
		}
		cuts += int(killed)
	}
	members[1].hears("room", 120)
	last := hush()
	for _, c := range members {
		all := c.hears("room", int(last))
		inOrder(t, c.user, all, 1)
		if slices.ContainsFunc(c.all(), func(m message) bool { return m.Event == "gap" }) {
			t.Errorf("%s was told of a gap", c.user)
		}
	}
	if cuts < 5 {
		t.Errorf("only %d connections were cut: the test shows nothing", cuts)
	}
}

func TestWhatRedisHasLostIsSaid(t *testing.T) {
	t.Parallel()
	redis := redistest.Single(t) // keeps nothing over its end
	f := newFleet(t, on(redis))
	a, b := f.add("a"), f.add("b")
	f.settle()
	ann, bob := a.enter("ann", "room"), b.enter("bob", "room")
	for n := 1; n <= 5; n++ {
		ann.publish("room", 1, n)
	}
	before := bob.hears("room", 5)
	redis.Restart()
	for _, c := range []*client{ann, bob} {
		c.until("a gap", func(all []message) bool {
			return slices.ContainsFunc(all, func(m message) bool { return m.Event == "gap" && m.data().Room == "room" })
		})
	}
	f.settle()
	until(t, "publishing goes on", func() bool { return ann.reply(ann.sendPublish("room", 1, 6, "six")).Event == "published" })
	for _, c := range []*client{ann, bob} {
		if got := c.hears("room", 6)[5]; got.data().N != 6 || strings.Split(got.Pos, "-")[0] == strings.Split(before[4].Pos, "-")[0] {
			t.Errorf("%s got %+v after %+v", c.user, got, before[4])
		}
	}
	late := b.connect("late")
	if j := late.join("room", before[2].Pos); j.Recovered || j.Reason != "epoch_changed" {
		t.Errorf("a resume from before: %+v", j)
	}
	// Nobody has left for it, and all are found again.
	for _, g := range f.all {
		until(t, g.name+" lists the members again", func() bool { return g.roomCount("room") == 3 })
	}
	ann.learns("member_joined", "room", "late")
	if n := ann.told("member_left", "room", "bob") + bob.told("member_left", "room", "ann"); n != 0 {
		t.Errorf("%d members were said to have left", n)
	}
}

func TestAFullRedisMakesPublishesUnavailable(t *testing.T) {
	t.Parallel()
	redis := redistest.Single(t)
	f := newFleet(t, on(redis))
	a := f.add("a")
	f.settle()
	ann := a.enter("ann", "room")
	ann.publish("room", 1, 1)
	limit := func(bytes string) {
		if err := redis.Client().ConfigSet(t.Context(), "maxmemory", bytes).Err(); err != nil {
			t.Fatal(err)
		}
	}
	limit("1")
	if m := ann.reply(ann.sendPublish("room", 1, 2, "key")); m.data().Code != "unavailable" || !m.data().Retryable {
		t.Errorf("published: %s %s", m.Event, m.Data)
	}
	ann.flush()
	limit("0")
	until(t, "it is stored", func() bool { return ann.reply(ann.sendPublish("room", 1, 2, "key")).Event == "published" })
	inOrder(t, "ann", ann.hears("room", 2), 1)
}

func TestAnEvictingRedisIsWarnedOf(t *testing.T) {
	t.Parallel()
	f := newFleet(t, on(redistest.Single(t, "--maxmemory-policy", "allkeys-lru")))
	evicting := f.spawn("evicting")
	f.settle()
	until(t, "it warns", func() bool { return strings.Contains(evicting.log.String(), "allkeys-lru") })
	f.environ = append(f.environ, on(redistest.Single(t)))
	f.all = nil
	sound := f.spawn("sound")
	f.settle()
	if log := sound.log.String(); strings.Contains(log, "noeviction") {
		t.Errorf("without a cause it warns:\n%s", log)
	}
}

func TestGatewaysWithAnotherPrefixAreAnotherGateway(t *testing.T) {
	t.Parallel()
	redis := redistest.Single(t)
	one, other := newFleet(t, on(redis)), newFleet(t, on(redis), "REDIS_KEY_PREFIX=other:")
	a, b := one.add("a"), other.add("b")
	one.settle()
	other.settle()
	ann, bob := a.enter("ann", "room"), b.connect("bob")
	if j := bob.join("room", ""); !slices.Equal(j.users(), []string{"bob"}) {
		t.Errorf("members %v", j.users())
	}
	ann.publish("room", 1, 1)
	a.done("publish", map[string]any{"everyone": true, "event": "news", "data": 1})
	a.done("disconnect", map[string]any{"user": "bob"})
	bob.publish("room", 2, 1)
	if got := bob.hears("room", 1); len(got) != 1 || got[0].data().P != 2 || got[0].Offset != 1 {
		t.Errorf("bob got %+v", got)
	}
	if slices.ContainsFunc(bob.all(), func(m message) bool { return m.Event == "news" }) {
		t.Error("bob got the broadcast of another gateway")
	}
}

func TestAFullInstanceTakesNobodyAndClientsAreSentToOthers(t *testing.T) {
	t.Parallel()
	f := newFleet(t, on(redistest.Single(t)), "MAX_CONNECTIONS=2", "REBALANCE_ENABLED=false")
	a, b := f.advertise("a"), f.advertise("b")
	f.settle()
	a.connect("ann")
	a.connect("bob")
	if ws, status := open(a.socket(), "carl"); ws != nil || status != http.StatusServiceUnavailable {
		t.Errorf("a full one answers %d", status)
	}
	for _, g := range f.all {
		until(t, g.name+" sends clients to b alone", func() bool {
			status, d := g.where()
			return status == http.StatusOK && d.Instance == "b" && d.Alternatives == nil && g.instances()[0].State == "full"
		})
	}
	b.connect("carl")
	b.connect("dan")
	for _, g := range f.all {
		until(t, g.name+" sends clients nowhere", func() bool {
			status, d := g.where()
			return status == http.StatusServiceUnavailable && d.RetryAfter != ""
		})
	}
}

func TestClientsAreKeptInTheirZone(t *testing.T) {
	t.Parallel()
	f := newFleet(t, on(redistest.Single(t)))
	f.advertise("a", "ZONE=east")
	f.advertise("b", "ZONE=west")
	f.settle()
	for _, g := range f.all {
		// Unless it carries much more, as one that has just started may.
		until(t, g.name+" keeps clients", func() bool {
			for range 20 {
				if status, d := g.where(); status != http.StatusOK || d.Instance != g.name {
					return false
				}
			}
			return true
		})
	}
}

func TestAnInstanceThatDoesNotAnswerIsNamedAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFleet(t, on(redistest.Single(t)), "INSTANCE_TTL=1m")
	a, frozen := f.add("a"), f.spawn("frozen")
	f.settle()
	here := a.enter("ann", "room")
	there := frozen.enter("ann", "room")
	until(t, "both are listed", func() bool { return a.roomCount("room") == 2 })
	pid := frozen.pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var list struct {
		Count   int
		Missing []string
	}
	until(t, "it is named", func() bool { // it may still have answered as it was stopped
		list.Missing = nil
		a.get("/api/v1/users/ann/connections", &list)
		return list.Count == 1 && slices.Equal(list.Missing, []string{"frozen"})
	})
	begun := time.Now()
	if status, got := a.post("publish", map[string]any{"connection": there.id, "event": "e"}); status != http.StatusServiceUnavailable || !got.Retryable {
		t.Errorf("to a connection that it may have: %d %+v", status, got)
	}
	if status, got := a.post("revoke", map[string]any{"token": "somebody"}); status != http.StatusOK || !slices.Equal(got.Missing, []string{"frozen"}) {
		t.Errorf("a revocation: %d %+v", status, got)
	}
	if n := a.roomCount("room"); n != 2 { // what it has is written down
		t.Errorf("%d in the room", n)
	}
	took := time.Since(begun)
	t.Logf("two questions took %v", took.Round(time.Millisecond))
	if took > 3*soon {
		t.Errorf("it was waited for: %v", took)
	}
	for n := 1; n <= 5; n++ {
		here.publish("room", 1, n)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	inOrder(t, "who was frozen", there.hears("room", 5), 1)
	until(t, "it is asked again", func() bool {
		list.Missing = nil
		a.get("/api/v1/users/ann/connections", &list)
		return list.Count == 2 && list.Missing == nil
	})
	until(t, "it has heard of the revocation", func() bool { return frozen.refuses("somebody") })
}

func TestWhatIsKeptInRedisHasAnEnd(t *testing.T) {
	t.Parallel()
	redis := redistest.Single(t)
	f := newFleet(t, on(redis))
	f.add("a")
	f.add("b")
	f.settle()
	serves(t, f)
	// There is one of these, whatever comes and goes.
	fixed := []string{"ws-gateway:schema", "ws-gateway:stream:{commands}", "ws-gateway:secret:{instances}:peer"}
	var cursor uint64
	for more := true; more; more = cursor != 0 {
		keys, next, err := redis.Client().Scan(t.Context(), cursor, "*", 1000).Result()
		if err != nil {
			t.Fatal(err)
		}
		cursor = next
		for _, key := range keys {
			if !strings.HasPrefix(key, "ws-gateway:") {
				t.Errorf("%s is outside the prefix", key)
			}
			if left := redis.Client().PTTL(t.Context(), key).Val(); left == -1 && !slices.Contains(fixed, key) {
				t.Errorf("%s is kept for ever", key)
			}
		}
	}
}
