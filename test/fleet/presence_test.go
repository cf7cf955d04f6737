package fleet

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/hub"
)

func TestMembersSeeEachOtherAcrossInstances(t *testing.T) {
	t.Parallel()
	f := start(t, "a b c")
	a, b, c := f.all[0], f.all[1], f.all[2]
	ann := a.connect("ann")
	if j := ann.join("room", ""); !slices.Equal(j.users(), []string{"ann"}) {
		t.Errorf("the first sees %v", j.users())
	}
	bob := b.connect("bob")
	if j := bob.join("room", ""); !slices.Equal(j.users(), []string{"ann", "bob"}) {
		t.Errorf("the second sees %v", j.users())
	}
	ann.learns("member_joined", "room", "bob")
	carl := c.connect("carl")
	if j := carl.join("room", ""); !slices.Equal(j.users(), []string{"ann", "bob", "carl"}) {
		t.Errorf("the third sees %v", j.users())
	}
	ann.learns("member_joined", "room", "carl")
	bob.learns("member_joined", "room", "carl")

	// Who is there already is no news, nor leaves while another connection stays.
	second := c.enter("ann", "room")
	second.request("leave_room", map[string]any{"room": "room"})
	dan := b.enter("dan", "room") // comes behind that
	for _, client := range []*client{ann, bob, carl} {
		client.learns("member_joined", "room", "dan")
	}
	for _, g := range f.all {
		w := g.enter("watcher-"+g.name, "room")
		p := w.request("presence", map[string]any{"room": "room"}).data()
		if who := p.users(); !slices.Equal(who[:4], []string{"ann", "bob", "carl", "dan"}) || p.Count != len(who) || p.Next != "" {
			t.Errorf("presence on %s: %v, %d connections, next %q", g.name, who, p.Count, p.Next)
		}
		var m struct {
			Connections int
			Members     []string
		}
		g.get("/api/v1/rooms/room/members", &m)
		if len(m.Members) != m.Connections || !slices.Equal(m.Members[:4], []string{"ann", "bob", "carl", "dan"}) {
			t.Errorf("the API on %s: %+v", g.name, m)
		}
	}

	begun := time.Now()
	ann.request("leave_room", map[string]any{"room": "room"})
	within(t, begun, "all know that she has left", func() bool {
		return !slices.ContainsFunc([]*client{bob, carl, dan}, func(c *client) bool { return c.told("member_left", "room", "ann") == 0 })
	})
	bob.request("leave_room", map[string]any{"room": "room"})
	carl.learns("member_left", "room", "bob")
	dan.learns("member_left", "room", "bob")
	for _, client := range []*client{carl, dan} {
		client.flush()
		for _, user := range []string{"ann", "bob"} {
			if n := client.told("member_left", "room", user); n != 1 {
				t.Errorf("%s was told %d times that %s has left", client.user, n, user)
			}
		}
	}
	for _, told := range []struct {
		who    *client
		user   string
		joined int
	}{{ann, "ann", 0}, {ann, "bob", 1}, {ann, "carl", 1}, {bob, "ann", 0}, {bob, "carl", 1}, {carl, "ann", 0}, {carl, "bob", 0}, {carl, "dan", 1}} {
		if n := told.who.told("member_joined", "room", told.user); n != told.joined {
			t.Errorf("%s was told %d times that %s has come, want %d", told.who.user, n, told.user, told.joined)
		}
	}
}

func TestAUserWhoComesBackOnAnotherInstanceWasNeverAway(t *testing.T) {
	t.Parallel()
	f := start(t, "a b")
	watchers := []*client{f.all[0].enter("bob", "room"), f.all[1].enter("carl", "room")}
	ann := f.all[0].enter("ann", "room")
	gone := f.all[1].enter("gone", "room")
	for _, w := range watchers {
		w.learns("member_joined", "room", "ann")
		w.learns("member_joined", "room", "gone")
	}
	ann.cut()
	gone.cut()
	late := f.all[1].connect("ann")
	if j := late.join("room", ""); !slices.Contains(j.users(), "gone") {
		t.Errorf("who has lost the connection a moment ago is not among %v", j.users())
	}
	for _, w := range watchers { // the grace of who did not come back is over, and so is hers
		w.learns("member_left", "room", "gone")
		w.flush()
		if n, m := w.told("member_left", "room", "ann"), w.told("member_joined", "room", "ann"); n != 0 || m != 1 {
			t.Errorf("%s was told %d times that she has left, %d times that she came", w.user, n, m)
		}
		if n := w.told("member_left", "room", "gone"); n != 1 {
			t.Errorf("%s was told %d times that another has left", w.user, n)
		}
	}
}

func TestARoomAboveAHundredMembersOnAllInstancesCounts(t *testing.T) {
	t.Parallel()
	f := start(t, "a b c")
	first := f.all[0].enter("first", "crowd")
	crowd(f, 99, "crowd") // a hundred now
	until(t, "the first is told of all", func() bool {
		n := 0
		for _, m := range first.all() {
			if m.Event == "member_joined" {
				n++
			}
		}
		return n == 99
	})
	last := f.all[1].connect("last")
	if j := last.join("crowd", ""); string(j.Members) != "101" {
		t.Errorf("the 101st sees %s", j.Members)
	}
	late := f.all[2].connect("late")
	if j := late.join("crowd", ""); string(j.Members) != "102" {
		t.Errorf("the 102nd sees %s", j.Members)
	}
	late.request("leave_room", map[string]any{"room": "crowd"})
	last.publish("crowd", 1, 1) // arrives behind what else there may be
	first.hears("crowd", 1)
	for _, user := range []string{"last", "late"} {
		if n := first.told("member_joined", "crowd", user) + first.told("member_left", "crowd", user); n != 0 {
			t.Errorf("%d events of %s in a room of more than a hundred", n, user)
		}
	}

	// Lists go on in pages, whichever instance is asked.
	for _, g := range f.all {
		var names []string
		for after := ""; ; {
			var page struct {
				Connections int
				Members     []string
				Next        string
			}
			g.get("/api/v1/rooms/crowd/members?limit=40&after="+after, &page)
			names = append(names, page.Members...)
			if after = page.Next; after == "" {
				if page.Connections != 101 {
					t.Errorf("%s counts %d connections", g.name, page.Connections)
				}
				break
			}
		}
		if len(names) != 101 || !slices.IsSorted(names) || len(slices.Compact(names)) != 101 {
			t.Errorf("%s lists %d members", g.name, len(names))
		}
	}
}

func TestPresenceComesInPagesThatSpanInstances(t *testing.T) {
	t.Parallel()
	f := start(t, "a b c", "REBALANCE_ENABLED=false")
	asker := f.all[0].enter("zoe", "hall")
	// Less users than a page takes on each instance, and more on all of them.
	crowd(f, hub.PresencePage+20, "hall")
	var names []string
	for page, pages := "", 1; ; pages++ {
		data := map[string]any{"room": "hall"}
		if page != "" {
			data["page"] = page
		}
		m := asker.request("presence", data)
		d := m.data()
		if m.Event != "presence" || d.Count != hub.PresencePage+21 {
			t.Fatalf("%s %.200s", m.Event, m.Data)
		}
		names = append(names, d.users()...)
		if page = d.Next; page == "" {
			if pages != 2 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if len(names) != hub.PresencePage+21 || !slices.IsSorted(names) || len(slices.Compact(names)) != hub.PresencePage+21 {
		t.Errorf("%d members", len(names))
	}
}

// crowd has n users join a room, on all instances in turn, and waits until
// every instance counts them.
func crowd(f *fleet, n int, room string) {
	f.t.Helper()
	work := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range work {
				c, status := dial(f.t, f.all[i%len(f.all)].socket(), fmt.Sprintf("user-%04d", i))
				if c == nil {
					f.t.Errorf("a user of the crowd is not let in: %d", status)
					continue
				}
				f.t.Cleanup(c.cut)
				c.write([]byte(`{"event":"join_room","id":1,"data":{"room":"` + room + `"}}`))
				c.next = 1
			}
		})
	}
	before := f.all[0].roomCount(room)
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	for _, g := range f.all {
		until(f.t, fmt.Sprintf("%s counts %d in %s", g.name, before+n, room), func() bool { return g.roomCount(room) == before+n })
	}
}

// roomCount is how many connections a room has according to an instance.
func (g *gateway) roomCount(room string) int {
	var list struct {
		Rooms []struct {
			Room        string
			Connections int
		}
	}
	g.get("/api/v1/rooms?prefix="+room, &list)
	for _, r := range list.Rooms {
		if r.Room == room {
			return r.Connections
		}
	}
	return 0
}
