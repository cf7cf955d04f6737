package hub

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// admit admits a session to a room and says whether it is a member.
func (m *member) admit(room string) bool {
	m.t.Helper()
	ok, err := m.r.hub.Admit(m.t.Context(), m.s, room, reply)
	if err != nil {
		m.t.Errorf("admit to %s: %v", room, err)
	}
	return ok
}

func bye(room string) wire.Event {
	return wire.Event{Name: "left", Data: []byte(`"` + room + `"`)}
}

func TestWhoIsAdmittedIsAMemberAndAMemberIsNotAdmittedAgain(t *testing.T) {
	r := start(t)
	defer r.stop()
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
		return broker.Page{Top: wire.Position{Epoch: 1, Offset: 4, Nonce: 1}}, nil
	}
	m := r.user("ann")
	if !m.admit("quiet") {
		t.Error("not admitted")
	}
	r.deliver(pub("quiet", 1, 4), pub("quiet", 1, 5))
	m.expect("joined quiet at 1.4", "e 1.5")
	if !m.admit("quiet") {
		t.Error("a member is none")
	}
	m.expect()
	if !r.hub.Expel(m.s, "quiet", bye("quiet")) || r.hub.Expel(m.s, "quiet", bye("quiet")) {
		t.Error("a member is expelled once")
	}
	r.deliver(pub("quiet", 1, 6))
	m.expect("left quiet")
	m.gone()
	if ok, err := r.hub.Admit(t.Context(), m.s, "quiet", reply); ok || err != nil {
		t.Errorf("who is gone is admitted: %v, %v", ok, err)
	}
	r.empty()
}

func TestAnAdmissionThatFailsLeavesNothing(t *testing.T) {
	r := start(t)
	defer r.stop()
	m := r.user("ann")
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) { return broker.Page{}, errAway }
	if ok, err := r.hub.Admit(t.Context(), m.s, "quiet", reply); ok || err == nil {
		t.Errorf("%v, %v", ok, err)
	}
	m.gone()
	r.empty()
}

// TestAJoinTakesThePlaceOfAnAdmissionUnderWay lets a client join a room while a
// backend's admission to it reads the log: the client's reply is the one that
// is sent, and nothing is delivered twice or lost.
func TestAJoinTakesThePlaceOfAnAdmissionUnderWay(t *testing.T) {
	for name, joinFails := range map[string]bool{"and succeeds": false, "and fails": true} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			defer r.stop()
			reading, goOn := make(chan struct{}), make(chan struct{})
			var mu sync.Mutex
			top, calls := uint64(1), 0
			r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
				mu.Lock()
				calls++
				call, at := calls, top
				mu.Unlock()
				if call == 1 {
					close(reading)
					<-goOn
				} else if joinFails {
					return broker.Page{}, errAway
				}
				return broker.Page{Top: wire.Position{Epoch: 1, Offset: at, Nonce: 1}}, nil
			}
			m := r.user("ann")
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = r.hub.Admit(t.Context(), m.s, "quiet", reply) })
			<-reading
			r.deliver(pub("quiet", 1, 2)) // held back by the admission, and gone with it
			mu.Lock()
			top = 2
			mu.Unlock()
			if !m.admit("quiet") { // a second admission waits for nothing
				t.Error("who is about to be a member is none")
			}
			err := r.hub.Join(t.Context(), m.s, "quiet", wire.Position{}, reply)
			if (err != nil) != joinFails {
				t.Errorf("join: %v", err)
			}
			close(goOn)
			wg.Wait()
			r.deliver(pub("quiet", 1, 3))
			if joinFails {
				m.expect()
			} else {
				m.expect("joined quiet at 1.2", "e 1.3")
			}
			m.gone()
			r.empty()
		})
	}
}

// TestTheReplyPrecedesTheOwnCopyThatAnAdmissionHeldBack publishes to a room that
// the publisher is being put into.
func TestTheReplyPrecedesTheOwnCopyThatAnAdmissionHeldBack(t *testing.T) {
	r := start(t)
	defer r.stop()
	m := r.user("ann")
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
		own := pub("quiet", 1, 2)
		own.Origin = m.s.ID()
		m.s.BeginPublish(&session.Publish{Nonce: own.Position.Nonce, Room: "quiet", ID: []byte("5")})
		r.deliver(own)
		return broker.Page{Top: wire.Position{Epoch: 1, Offset: 1, Nonce: 1}}, nil
	}
	if !m.admit("quiet") {
		t.Error("not admitted")
	}
	got := m.heard()
	if len(got) != 3 || !strings.HasPrefix(got[0], `{"event":"published","id":5`) || got[1] != "joined quiet at 1.1" || got[2] != "e 1.2" {
		t.Errorf("%q", got)
	}
	m.gone()
	r.empty()
}

// TestAdmissionsAndJoinsOfOneRoomTakeOneSeat has clients and backends move the
// same sessions in and out at once.
func TestAdmissionsAndJoinsOfOneRoomTakeOneSeat(t *testing.T) {
	r := startWith(t, Config{MaxRooms: 100, CatchUpBytes: 1000})
	defer r.stop()
	// A join that is overtaken by an Expel may still read, to no effect.
	r.broker.anyTime = true
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
		return broker.Page{Top: wire.Position{Epoch: 1, Offset: uint64(rand.IntN(100))}}, nil
	}
	for round := range 50 {
		m := r.user("ann")
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 20 {
				_ = r.hub.Join(t.Context(), m.s, "quiet", wire.Position{}, reply)
				if rand.IntN(3) == 0 {
					r.hub.Leave(m.s, "quiet")
				}
			}
		})
		for range 2 {
			wg.Go(func() {
				for range 20 {
					_, _ = r.hub.Admit(t.Context(), m.s, "quiet", reply)
					if rand.IntN(3) == 0 {
						r.hub.Expel(m.s, "quiet", bye("quiet"))
					}
					r.deliver(pub("quiet", 1, uint64(rand.IntN(100))))
				}
			})
		}
		wg.Wait()
		m.admit("quiet")
		if n := len(r.hub.Members("quiet")); n != 1 || m.s.Seats() != 1 {
			t.Fatalf("round %d: %d seats in the room, %d of the session", round, n, m.s.Seats())
		}
		m.gone()
		r.empty()
	}
}

func TestRoomsAreListedInPagesByName(t *testing.T) {
	r := startWith(t, Config{MaxRooms: 1000, CatchUpBytes: 1000})
	defer r.stop()
	ann, bob := r.user("ann"), r.user("bob")
	ann.join(wire.UserRoom("ann"), wire.Position{})
	ann.join("user:ann:notes", wire.Position{})
	bob.join(wire.UserRoom("b:ob"), wire.Position{})
	for i := range 200 {
		ann.join(fmt.Sprintf("quiet:%03d", i), wire.Position{})
	}
	bob.join("quiet:000", wire.Position{})
	for name, c := range map[string]struct {
		prefix, after string
		limit, want   int
		first, last   string
		more          bool
	}{
		"the first page":     {"quiet:", "", 150, 150, "quiet:000", "quiet:149", true},
		"the second":         {"quiet:", "quiet:149", 150, 50, "quiet:150", "quiet:199", false},
		"a page that fits":   {"quiet:", "", 200, 200, "quiet:000", "quiet:199", false},
		"a narrower prefix":  {"quiet:01", "", 150, 10, "quiet:010", "quiet:019", false},
		"all":                {"", "", 1000, 203, "quiet:000", "user:b/3aob", false},
		"after a gone one":   {"quiet:", "quiet:149x", 1, 1, "quiet:150", "quiet:150", true},
		"nothing after them": {"quiet:", "quiet:199", 1, 0, "", "", false},
	} {
		page, more := r.hub.Rooms(c.prefix, c.after, c.limit)
		if len(page) != c.want || more != c.more {
			t.Errorf("%s: %d rooms, more %v", name, len(page), more)
		} else if c.want > 0 && (page[0].Room != c.first || page[c.want-1].Room != c.last) {
			t.Errorf("%s: %v to %v", name, page[0], page[c.want-1])
		}
	}
	if page, _ := r.hub.Rooms("quiet:000", "", 1); len(page) != 1 || page[0].Connections != 2 {
		t.Errorf("%+v", page)
	}
	if c := r.hub.Census(); c != (Census{Connections: 2, Users: 2, Rooms: 203, Memberships: 204}) {
		t.Errorf("%+v", c)
	}
	ann.gone()
	bob.gone()
	r.empty()
}

func TestWhatIsForOneConnectionOrNotForAnotherIsDeliveredSo(t *testing.T) {
	r := start(t)
	defer r.stop()
	a, b, nobody := r.user("ann"), r.user("bob"), r.user("")
	a.join("quiet", wire.Position{})
	b.join("quiet", wire.Position{})
	a.heard()
	b.heard()
	but := func(p *wire.Publication, who ...*member) *wire.Publication {
		for _, m := range who {
			p.Except = append(p.Except, m.s.ID())
		}
		return p
	}
	for _, m := range []*member{a, nobody} {
		r.deliver(&wire.Publication{Room: wire.ConnectionRoom(m.s.ID()), Event: "one"})
	}
	r.deliver(&wire.Publication{Room: wire.ConnectionRoom("nobody"), Event: "one"})
	r.deliver(
		but(&wire.Publication{Room: wire.Everyone, Event: "all"}), but(&wire.Publication{Room: wire.Everyone, Event: "some"}, a, nobody),
		but(&wire.Publication{Room: wire.Everyone, Event: "none"}, a, b),
	)
	r.deliver(pub("quiet", 1, 1), but(pub("quiet", 1, 2), b), but(pub("quiet", 1, 3), a, b), pub("quiet", 1, 4))
	a.expect("one", "all", "e 1.1", "e 1.2", "e 1.4")
	b.expect("all", "some", "e 1.1", "e 1.4")
	nobody.expect()
	if n := r.hub.Stats().Delivered; n != 1+3+5 {
		t.Errorf("%d deliveries are counted", n)
	}
	for _, m := range []*member{a, b, nobody} {
		m.gone()
	}
	r.empty()
}

func TestWhatAMemberIsLeftOutOfIsNotHeldBackForItEither(t *testing.T) {
	r := start(t)
	defer r.stop()
	m := r.user("ann")
	out := pub("quiet", 1, 2)
	out.Except = []string{m.s.ID()}
	r.broker.history = func(context.Context, string, wire.Position, int) (broker.Page, error) {
		r.deliver(out, pub("quiet", 1, 3))
		return broker.Page{Top: wire.Position{Epoch: 1, Offset: 1, Nonce: 1}}, nil
	}
	m.join("quiet", wire.Position{})
	m.expect("joined quiet at 1.1", "e 1.3")
	m.gone()
	r.empty()
}
