package fleet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// same checks that two members of a room were sent the same.
func same(t *testing.T, who, other string, a, b []message) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%s got %d publications, %s %d", who, len(a), other, len(b))
	}
	for i := range a {
		if a[i].Offset != b[i].Offset || a[i].Pos != b[i].Pos || string(a[i].Data) != string(b[i].Data) {
			t.Fatalf("%s got %+v as the %dth, %s %+v", who, a[i], i, other, b[i])
		}
	}
}

// inOrder checks that offsets rise by one from first on, and that what each
// publisher has sent comes in its order, once.
func inOrder(t *testing.T, who string, all []message, first uint64) {
	t.Helper()
	last := map[int]int{}
	for i, m := range all {
		d := m.data()
		if m.Offset != first+uint64(i) || m.Skipped != 0 {
			t.Fatalf("%s got offset %d, skipped %d, as the %dth from %d on:%s", who, m.Offset, m.Skipped, i, first, texts(all[max(0, i-3):min(len(all), i+3)]))
		}
		if d.N != last[d.P]+1 {
			t.Fatalf("%s got message %d of publisher %d after %d", who, d.N, d.P, last[d.P])
		}
		last[d.P] = d.N
	}
}

func TestThreeInstancesDeliverOneRoomInTheSameOrderEverywhere(t *testing.T) {
	t.Parallel()
	const each = 200 // of one publisher
	f := start(t, "a b c")
	var members, publishers []*client
	for i, g := range f.all {
		members = append(members, g.enter(fmt.Sprint("member-", i), "room"), g.enter(fmt.Sprint("another-", i), "room"))
		publishers = append(publishers, g.enter(fmt.Sprint("publisher-", i), "room"))
	}
	var wg sync.WaitGroup
	for p, c := range publishers {
		wg.Go(func() {
			for n := 1; n <= each; n++ {
				c.sendPublish("room", p, n)
			}
		})
	}
	for i, g := range f.all {
		wg.Go(func() { // a backend beside each
			for n := 1; n <= each/4; n++ {
				body, _ := json.Marshal(map[string]any{"room": "room", "event": "m", "data": map[string]int{"p": 10 + i, "n": n}})
				if status, raw := g.ask(http.MethodPost, "http://"+g.admin+"/api/v1/publish", body); status != http.StatusOK {
					t.Errorf("%s answers %d %s", g.name, status, raw)
				}
			}
		})
	}
	wg.Wait()
	total := len(publishers) * (each + each/4)
	first := members[0].hears("room", total)
	inOrder(t, members[0].user, first, 1)
	for _, c := range append(members[1:], publishers...) {
		same(t, members[0].user, c.user, first, c.hears("room", total))
	}
	for p, c := range publishers { // what was acknowledged is what was delivered, and precedes the own copy
		own := 0
		replied := map[int]body{}
		for _, m := range c.all() {
			if m.Event == "published" {
				replied[len(replied)+1] = m.data()
			}
			if d := m.data(); m.Room == "room" && d.P == p {
				own++
				if r := replied[d.N]; r.Offset != m.Offset || r.Pos != m.Pos {
					t.Fatalf("%s: message %d was acknowledged as %+v and came as %+v", c.user, d.N, r, m)
				}
			}
		}
		if own != each {
			t.Errorf("%s has %d own copies", c.user, own)
		}
	}
}

func TestAClientResumesOnAnyInstance(t *testing.T) {
	t.Parallel()
	f := start(t, "a b c")
	pub := f.all[0].connect("pub")
	one := f.all[0].connect("ann")
	empty := one.join("room", "") // its position is before everything
	pub.join("room", "")
	for n := 1; n <= 5; n++ {
		pub.publish("room", 1, n)
	}
	seen := one.hears("room", 5)
	one.cut()
	for n := 6; n <= 60; n++ {
		pub.publish("room", 1, n)
	}
	for _, g := range f.all {
		for since, first := range map[string]uint64{empty.Pos: 1, seen[2].Pos: 4, seen[4].Pos: 6} {
			c := g.connect("ann")
			if j := c.join("room", since); !j.Recovered || j.Offset != first-1 {
				t.Errorf("%s: resumed as %+v", g.name, j)
			}
			missed := c.hears("room", 60-int(first)+1)
			for i, m := range missed {
				if m.Offset != first+uint64(i) || m.data().N != int(m.Offset) {
					t.Errorf("%s: %+v as the %dth", g.name, m, i)
				}
			}
			// The log is the same everywhere.
			if h := c.request("history", map[string]any{"room": "room", "since": since}).data(); len(h.Publications) != len(missed) || h.Offset != 60 {
				t.Errorf("%s: the history has %d publications up to %d", g.name, len(h.Publications), h.Offset)
			}
			c.cut()
		}
		var h struct{ Publications []message }
		g.get("/api/v1/rooms/room/history?limit=100", &h)
		if len(h.Publications) != 60 || h.Publications[59].Offset != 60 {
			t.Errorf("%s: the API's history has %d publications", g.name, len(h.Publications))
		}
	}
	// What comes live after it.
	c := f.all[2].connect("ann")
	c.join("room", seen[4].Pos)
	pub.publish("room", 1, 61)
	if all := c.hears("room", 56); all[55].data().N != 61 {
		t.Errorf("live came %+v", all[55])
	}
}

func TestAResumeThatCannotBeMadeIsSaidOnAnotherInstanceToo(t *testing.T) {
	t.Parallel()
	f := start(t, "a b")
	pub := f.all[0].enter("pub", "short:1")
	var at []body
	for n := 1; n <= 10; n++ {
		at = append(at, pub.publish("short:1", 1, n))
	}
	c := f.all[1].connect("ann")
	if j := c.join("short:1", at[1].Pos); j.Recovered || j.Reason != "trimmed" || j.Offset != 10 {
		t.Errorf("behind the history: %+v", j)
	}
	c.request("leave_room", map[string]any{"room": "short:1"})
	if j := c.join("short:1", at[6].Pos); !j.Recovered { // the last that was trimmed
		t.Errorf("from the last that was trimmed: %+v", j)
	}
	if got := c.hears("short:1", 3); got[0].Offset != 8 {
		t.Errorf("then %+v", got)
	}
}

func TestAPublishRepeatedOnAnotherInstanceIsStoredOnce(t *testing.T) {
	t.Parallel()
	f := start(t, "a b")
	member := f.all[1].enter("member", "room")
	one, other := f.all[0].enter("ann", "room"), f.all[1].enter("ann", "room")
	first := one.publish("room", 1, 1, "key")
	if again := other.publish("room", 1, 1, "key"); again.Pos != first.Pos || again.Offset != 1 {
		t.Errorf("first %+v, again %+v", first, again)
	}
	if m := other.reply(other.sendPublish("room", 1, 2, "key")); m.data().Code != "conflict" {
		t.Errorf("other content: %s %s", m.Event, m.Data)
	}
	a := f.all[0].done("publish", map[string]any{"room": "room", "event": "m", "data": map[string]int{"n": 2}, "idempotencyKey": "key"})
	b := f.all[1].done("publish", map[string]any{"room": "room", "event": "m", "data": map[string]int{"n": 2}, "idempotencyKey": "key"})
	if a.Offset != 2 || a.Pos != b.Pos {
		t.Errorf("a backend's key: %+v and %+v", a, b)
	}
	one.publish("room", 1, 3)
	if got := member.hears("room", 3); len(got) != 3 || got[2].data().N != 3 {
		t.Errorf("the member got %+v", got)
	}
}
