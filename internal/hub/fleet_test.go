package hub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// others is a fleet that writes down what it is told, and knows who is
// elsewhere in room x.
type others struct {
	mu    sync.Mutex
	told  []string // guarded by mu
	there Elsewhere
	err   error
	meet  func() // called while a join reads
}

func (o *others) say(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, fmt.Sprintf(format, args...))
}

func (o *others) Entered(room, user string) { o.say("%s+%s", room, user) }

func (o *others) Left(room, user string, grace time.Duration) { o.say("%s-%s %v", room, user, grace) }

func (o *others) Counted(room string, connections int) { o.say("%s=%d", room, connections) }

func (o *others) Elsewhere(_ context.Context, room, after string, _ int) (Elsewhere, error) {
	if o.meet != nil {
		o.meet()
	}
	out := Elsewhere{Connections: o.there.Connections, More: o.there.More}
	for _, user := range o.there.Users {
		if room == "x" && user > after {
			out.Users = append(out.Users, user)
		}
	}
	return out, o.err
}

func (o *others) expect(t *testing.T, want string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if got := strings.Join(o.told, ", "); got != want {
		t.Errorf("the fleet was told %s, want %s", got, want)
	}
	o.told = nil
}

func withFleet(t *testing.T, f func(t *testing.T, r *rig, o *others)) {
	t.Helper()
	inBubble(t, func(t *testing.T, r *rig) {
		o := &others{}
		r.hub.UseFleet(o)
		f(t, r, o)
	})
}

func TestTheFleetIsToldWhoComesAndGoes(t *testing.T) {
	withFleet(t, func(t *testing.T, r *rig, o *others) {
		a, b := r.in("ann", "x"), r.in("ann", "x")
		o.expect(t, "x=1, x+ann, x=2")
		c := r.in("cid", "x")
		o.expect(t, "x=3, x+cid")
		for _, m := range []*member{a, b} { // it is the fleet that says so
			m.expect("joined x at 1.0 1[ann]")
		}
		b.join("x", wire.Position{})
		c.gone()
		r.hub.Leave(a.s, "x")
		r.hub.Leave(b.s, "x")
		o.expect(t, "x=2, x-cid 5s, x=1, x=0, x-ann 0s")
		d := r.in("dan", "quiet")
		d.join(wire.UserRoom("dan"), wire.Position{})
		d.gone()
		o.expect(t, "quiet=1, quiet+dan, user:dan=1, quiet=0, quiet-dan 0s, user:dan=0")
		time.Sleep(time.Minute)
		a.expect()
		a.gone()
		b.gone()
		r.empty()
	})
}

func TestNoticesReachTheMembers(t *testing.T) {
	withFleet(t, func(t *testing.T, r *rig, o *others) {
		a, q := r.in("ann", "x"), r.in("quinn", "quiet")
		a.Sent()
		q.Sent()
		o.expect(t, "x=1, x+ann, quiet=1, quiet+quinn")
		for _, room := range []string{"x", "quiet", "nobody's"} {
			r.hub.Notice(room, EncodeNotice(true, `b"ob`))
			r.hub.Notice(room, EncodeNotice(false, `b"ob`))
		}
		r.hub.Notice("x", EncodeNotice(true, "ann")) // not to herself
		for _, bad := range []string{"", "{", `{"event":"gap","user":"bob"}`, `{"event":"member_left"}`, `[]`, `{"event":7}`} {
			r.hub.Notice("x", []byte(bad))
		}
		a.expect(came(`b\"ob`), went(`b\"ob`))
		q.expect()
		// Who is here has not left: others are told so again.
		b := r.in("bob", "x")
		b.Sent()
		r.hub.Notice("x", EncodeNotice(false, "bob"))
		a.expect()
		o.expect(t, "x=2, x+bob, x+bob")
		r.setRule(&policy.Room{})
		r.hub.Notice("x", EncodeNotice(true, "cid"))
		a.expect()
	})
}

func TestAJoinListsWhoIsElsewhere(t *testing.T) {
	withFleet(t, func(t *testing.T, r *rig, o *others) {
		o.there = Elsewhere{Users: []string{"bob", "cid"}, Connections: 3}
		r.in("ann", "x").expect("joined x at 1.0 3[ann bob cid]")
		r.in("bob", "x").expect("joined x at 1.0 3[ann bob cid]")
		o.there.Connections = 98
		r.in("dan", "x").expect("joined x at 1.0 101[]")
		o.there, o.err = Elsewhere{Users: []string{"cid"}, Connections: 1}, errors.New("some do not answer")
		r.in("eve", "x").expect("joined x at 1.0 5[ann bob cid dan eve]")
	})
}

// Whoever comes or goes while a join reads is in its list or not as it is then.
func TestNewsDuringAJoinAreInItsList(t *testing.T) {
	withFleet(t, func(_ *testing.T, r *rig, o *others) {
		o.there = Elsewhere{Users: []string{"bob", "cid"}, Connections: 2}
		a := r.user("ann")
		o.meet = func() {
			o.meet = nil
			r.hub.Notice("x", EncodeNotice(false, "bob"))
			r.hub.Notice("x", EncodeNotice(true, "dan"))
			r.hub.Notice("x", EncodeNotice(true, "eve"))
			r.hub.Notice("x", EncodeNotice(false, "eve"))
			for n := range 2 * mostNews {
				r.hub.Notice("x", EncodeNotice(n%2 == 0, "flo"))
			}
		}
		a.join("x", wire.Position{})
		a.expect("joined x at 1.0 3[ann cid dan]")
	})
}

// What is published while a join waits for the fleet is held back for it, also
// in a room that keeps nothing.
func TestAJoinWithoutHistoryHoldsBackWhatIsLive(t *testing.T) {
	withFleet(t, func(_ *testing.T, r *rig, o *others) {
		r.setRule(&policy.Room{Presence: true})
		release := make(chan struct{})
		o.meet = func() { <-release }
		a := r.user("ann")
		go a.join("x", wire.Position{})
		synctest.Wait()
		r.deliver(&wire.Publication{Room: "x", Event: "e"})
		a.expect()
		close(release)
		synctest.Wait()
		a.expect("joined x at 0.0 1[ann]", "e")
	})
}

func TestPagesSpanTheFleet(t *testing.T) {
	withFleet(t, func(t *testing.T, r *rig, o *others) {
		r.in("ann", "x")
		r.in("dan", "x")
		o.there = Elsewhere{Users: []string{"bob", "cid", "dan"}, Connections: 3}
		for _, c := range []struct {
			after string
			limit int
			more  bool
			want  string
		}{
			{"", 9, false, "{[ann bob cid dan]  5}"},
			{"", 4, false, "{[ann bob cid dan]  5}"},
			{"", 3, false, "{[ann bob cid] cid 5}"},
			{"cid", 3, false, "{[dan]  5}"},
			{"dan", 3, false, "{[]  5}"},
			{"", 4, true, "{[ann bob cid dan] dan 5}"},
		} {
			o.there.More = c.more
			page, err := r.hub.PresenceEverywhere(t.Context(), "x", c.after, c.limit)
			if got := fmt.Sprint(page); err != nil || got != c.want {
				t.Errorf("%+v: %s, %v", c, got, err)
			}
		}
		o.there, o.err = Elsewhere{}, errAway
		if page, err := r.hub.PresenceEverywhere(t.Context(), "x", "", 9); !errors.Is(err, errAway) || fmt.Sprint(page) != "{[ann dan]  2}" {
			t.Errorf("while the others are away: %+v, %v", page, err)
		}
	})
	r := start(t)
	defer r.stop()
	r.in("ann", "x")
	r.in("bob", "x")
	if page, err := r.hub.PresenceEverywhere(t.Context(), "x", "", 1); err != nil || fmt.Sprint(page) != "{[ann] ann 2}" {
		t.Errorf("without a fleet: %+v, %v", page, err)
	}
}

func TestRoomsAreGoneThrough(t *testing.T) {
	withFleet(t, func(t *testing.T, r *rig, _ *others) {
		a := r.in("ann", "x")
		r.in("bob", "x")
		r.in("cid", "y")
		a.join(wire.UserRoom("ann"), wire.Position{})
		seen := map[string]string{}
		r.hub.EachRoom(func(h Here) bool {
			seen[h.Room] = fmt.Sprint(h.Connections, len(h.Users))
			return true
		})
		if fmt.Sprint(seen) != "map[user:ann:1 0 x:2 2 y:1 1]" {
			t.Errorf("%v", seen)
		}
		n := 0
		r.hub.EachRoom(func(Here) bool { n++; return n < 2 })
		if n != 2 {
			t.Errorf("went on to %d", n)
		}
		if !r.hub.Has("x", "ann") || r.hub.Has("y", "ann") || r.hub.Has("z", "ann") || r.hub.Occupancy("x") != 2 || r.hub.Occupancy("z") != 0 {
			t.Error("who is where")
		}
		if !r.hub.Tells("x", presenceLimit) || r.hub.Tells("x", presenceLimit+1) || r.hub.Tells("quiet", 1) {
			t.Error("which rooms tell")
		}
	})
}

// A room that keeps nothing has no position to read, and its members miss
// nothing when it begins to keep.
func TestARoomWithoutHistoryIsNotRead(t *testing.T) {
	r := start(t)
	defer r.stop()
	r.setRule(&policy.Room{Slow: wire.SlowDropOldest})
	reads := 0
	a, b := r.user("ann"), r.user("bob")
	r.broker.read = func() { reads++ }
	a.join("x", wire.Position{})
	b.join("x", wire.Position{Epoch: 9, Offset: 4, Nonce: 1})
	if reads != 1 {
		t.Errorf("the log was read %d times, once was asked for", reads)
	}
	a.expect("joined x at 0.0")
	b.Sent()
	r.deliver(&wire.Publication{Room: "x", Event: "e"})
	r.deliver(pub("x", 7, 1), pub("x", 7, 2))
	r.hub.Gap("x", wire.Gap{Reason: "overflow"})
	r.deliver(pub("x", 8, 1))
	a.expect("e", "e 7.1", "e 7.2", `gap {"room":"x","reason":"overflow"}`, "e 8.1")
}
