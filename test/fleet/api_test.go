package fleet

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestAnyInstanceListsRoomsUsersConnectionsAndInstancesOfAll(t *testing.T) {
	t.Parallel()
	f := start(t, "a b c", "ZONE=east")
	for i, g := range f.all {
		for n := range 3 {
			g.enter(fmt.Sprintf("user-%d-%d", i, n), "hall", fmt.Sprint("own:", g.name), fmt.Sprint("many:", n))
		}
		g.enter("ann", "hall")
	}
	mary := f.all[2].enter("mary", "hall")
	wantRooms := map[string]int{"hall": 13, "many:0": 3, "many:1": 3, "many:2": 3, "own:a": 3, "own:b": 3, "own:c": 3}
	for _, g := range f.all {
		until(t, g.name+" lists the rooms of all", func() bool { return reflect.DeepEqual(g.rooms("", 100, "user:"), wantRooms) })
		if got := g.rooms("", 2, "user:"); !reflect.DeepEqual(got, wantRooms) {
			t.Errorf("%s in pages of two: %v", g.name, got)
		}
		if got := g.rooms("many:", 2, ""); len(got) != 3 || got["many:2"] != 3 {
			t.Errorf("%s by prefix: %v", g.name, got)
		}

		var conns struct {
			Count       int
			Connections []struct{ Connection, Instance, User string }
			Missing     []string
		}
		g.get("/api/v1/users/ann/connections", &conns)
		var where []string
		for _, c := range conns.Connections {
			where = append(where, c.Instance)
		}
		slices.Sort(where)
		if conns.Count != 3 || conns.Missing != nil || !slices.Equal(where, []string{"a", "b", "c"}) {
			t.Errorf("%s: Ann's connections: %+v", g.name, conns)
		}
		var one struct{ User, Instance string }
		if g.get("/api/v1/connections/"+mary.id, &one); one.User != "mary" || one.Instance != "c" {
			t.Errorf("%s: Mary's connection: %+v", g.name, one)
		}

		var counts struct {
			Connections, Users, Rooms, Memberships int
			Missing                                []string
		}
		until(t, g.name+" counts all", func() bool { // as of the others' last heartbeat
			g.get("/api/v1/counts", &counts)
			return counts.Connections == 13 && counts.Users == 13
		})
		// 13 users' rooms, the hall, many:* and own:* on each; and as many memberships.
		if counts.Rooms != 13+3+9+3 || counts.Memberships != 13+13+9+9 || counts.Missing != nil {
			t.Errorf("%s counts %+v", g.name, counts)
		}

		until(t, g.name+" knows what the others carry", func() bool {
			all := g.instances()
			return len(all) == 3 && all[0].Connections == 4 && all[1].Connections == 4 && all[2].Connections == 5
		})
		for _, i := range g.instances() {
			if i.State != "ready" || !i.Ready || i.Zone != "east" || i.Version != "test" || i.Capacity < 13 {
				t.Errorf("%s tells of %+v", g.name, i)
			}
		}
		var b struct {
			Instances, Ready, Connections int
			Mean, Spread                  float64
			Optimal                       string
			Missing                       []string
		}
		g.get("/api/v1/load-balancer", &b)
		if b.Instances != 3 || b.Ready != 3 || b.Connections != 13 || b.Mean < 4.3 || b.Mean > 4.4 || b.Spread <= 0 || b.Optimal == "" || b.Missing != nil {
			t.Errorf("%s: load balancer %+v", g.name, b)
		}
	}
	if status, body := f.all[0].ask(http.MethodGet, "http://"+f.all[0].admin+"/api/v1/connections/nobody", nil); status != http.StatusNotFound {
		t.Errorf("a connection that nobody has: %d %s", status, body)
	}
}

// rooms lists all, in pages of some size, without those of a prefix.
func (g *gateway) rooms(prefix string, page int, without string) map[string]int {
	g.t.Helper()
	out := map[string]int{}
	for after := ""; ; {
		var list struct {
			Rooms []struct {
				Room        string
				Connections int
			}
			Next string
		}
		g.get(fmt.Sprintf("/api/v1/rooms?limit=%d&prefix=%s&after=%s", page, prefix, after), &list)
		for _, r := range list.Rooms {
			if without == "" || len(r.Room) < len(without) || r.Room[:len(without)] != without {
				out[r.Room] += r.Connections
			}
		}
		if after = list.Next; after == "" {
			return out
		}
	}
}

func TestADisconnectARevocationAndABroadcastReachEverybodyWithinASecond(t *testing.T) {
	t.Parallel()
	f := start(t, "a b c")
	all := func(user string) []*client {
		var list []*client
		for _, g := range f.all {
			list = append(list, g.connect(user), g.connect(user))
		}
		return list
	}
	closed := func(list []*client, code int) func() bool {
		return func() bool {
			return !slices.ContainsFunc(list, func(c *client) bool { return c.closed() != code })
		}
	}
	ann, bob, carl, dan := all("ann"), all("bob"), all("carl"), all("dan")

	begun := time.Now()
	f.all[0].done("publish", map[string]any{"everyone": true, "event": "news", "data": "for all"})
	within(t, begun, "everybody has the broadcast", func() bool {
		for _, c := range slices.Concat(ann, bob, carl, dan) {
			if !slices.ContainsFunc(c.all(), func(m message) bool { return m.Event == "news" && string(m.Data) == `"for all"` }) {
				return false
			}
		}
		return true
	})
	begun = time.Now()
	f.all[1].done("publish", map[string]any{"user": "dan", "event": "note", "data": 1})
	within(t, begun, "all of a user's connections have a publication to them", func() bool {
		return !slices.ContainsFunc(dan, func(c *client) bool { return len(c.heard("user:dan")) != 1 })
	})

	begun = time.Now()
	if a := f.all[1].done("disconnect", map[string]any{"user": "ann"}); a.Connections != 6 {
		t.Errorf("disconnected: %+v", a)
	}
	within(t, begun, "all of a user's connections are closed", closed(ann, 4003))
	f.all[2].connect("ann") // nothing keeps her from coming back

	begun = time.Now()
	if a := f.all[2].done("revoke", map[string]any{"token": "bob"}); a.Connections != 6 {
		t.Errorf("revoked a token: %+v", a)
	}
	within(t, begun, "all connections of a revoked token are closed", closed(bob, 4002))
	begun = time.Now()
	if a := f.all[0].done("revoke", map[string]any{"user": "carl", "until": time.Now().Add(time.Hour).UnixMilli()}); a.Connections != 6 {
		t.Errorf("revoked a user: %+v", a)
	}
	within(t, begun, "all connections of a revoked user are closed", closed(carl, 4003))

	// They stay outside, also on an instance that starts later.
	f.add("d")
	f.settle()
	for _, g := range f.all {
		for _, user := range []string{"bob", "carl"} {
			until(t, user+" is refused by "+g.name, func() bool { return g.refuses(user) })
		}
	}
	for _, c := range dan {
		c.flush() // nobody else was touched
	}
}

// refuses tells whether a user's credential is not accepted.
func (g *gateway) refuses(user string) bool {
	c, status := dial(g.t, g.socket(), user)
	if c == nil {
		return status == http.StatusUnauthorized
	}
	defer c.cut()
	until(g.t, "an answer to "+user, func() bool { return c.closed() >= 0 || len(c.all()) > 0 })
	until(g.t, "an answer to "+user, func() bool { return c.closed() >= 0 || c.all()[0].Event == "connected" })
	return c.closed() == 4001
}

func TestABackendActsOnConnectionsOfOtherInstances(t *testing.T) {
	t.Parallel()
	f := start(t, "a b c")
	ann := []*client{f.all[1].connect("ann"), f.all[2].connect("ann")}
	a := f.all[0]
	if got := a.done("subscribe", map[string]any{"user": "ann", "room": "room"}); got.Connections != 2 {
		t.Errorf("subscribed: %+v", got)
	}
	for _, c := range ann {
		c.until("the room", func(all []message) bool {
			return slices.ContainsFunc(all, func(m message) bool { return m.Event == "room_joined" && m.data().Room == "room" })
		})
	}
	if got := a.done("unsubscribe", map[string]any{"connection": ann[0].id, "room": "room"}); got.Connections != 1 {
		t.Errorf("unsubscribed: %+v", got)
	}
	ann[0].until("the removal", func(all []message) bool {
		return slices.ContainsFunc(all, func(m message) bool { return m.Event == "room_left" && m.data().Reason == "removed" })
	})
	for range 2 { // the second is a repetition
		a.done("publish", map[string]any{"connection": ann[1].id, "event": "whisper", "data": 7, "idempotencyKey": "k"})
	}
	a.done("publish", map[string]any{"user": "ann", "event": "note", "data": 1, "except": []string{ann[0].id}})
	ann[1].hears("user:ann", 1)
	for i, c := range ann {
		c.flush()
		whispers := 0
		for _, m := range c.all() {
			if m.Event == "whisper" {
				whispers++
			}
		}
		if whispers != i || len(c.heard("user:ann")) != i {
			t.Errorf("connection %d got %s", i, texts(c.all()))
		}
	}
	if got := a.done("disconnect", map[string]any{"connection": ann[1].id}); got.Connections != 1 {
		t.Errorf("disconnected: %+v", got)
	}
	ann[1].ended(4003)
	ann[0].flush()
	if status, got := a.post("disconnect", map[string]any{"connection": ann[1].id}); status != http.StatusNotFound {
		t.Errorf("once more: %d %+v", status, got)
	}
}

func TestTheLimitOfAUsersConnectionsSpansInstances(t *testing.T) {
	t.Parallel()
	f := start(t, "a b c", "MAX_CONNECTIONS_PER_USER=3")
	var ann []*client
	for _, g := range f.all {
		ann = append(ann, g.connect("ann"))
	}
	for _, g := range f.all {
		c, status := dial(t, g.socket(), "ann")
		if c == nil {
			t.Fatalf("%s: status %d", g.name, status)
		}
		t.Cleanup(c.cut)
		c.ended(4009)
		if all := c.all(); len(all) != 1 || all[0].Event != "error" || all[0].data().Code != "limit_exceeded" {
			t.Errorf("%s: the fourth got %s", g.name, texts(all))
		}
		g.connect("bob-" + g.name) // others may
	}
	for _, c := range ann {
		c.flush()
	}
	ann[0].cut()
	until(t, "she may come again, elsewhere", func() bool {
		c, _ := dial(t, f.all[2].socket(), "ann")
		if c == nil {
			return false
		}
		t.Cleanup(c.cut)
		until(t, "an answer", func() bool { return len(c.all()) > 0 })
		return c.all()[0].Event == "connected"
	})
}
