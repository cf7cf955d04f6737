package fleet_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestAUserIsReachedOnEveryInstance(t *testing.T) {
	r := start(t, "one", "two", "three")
	one, two := r.all[0], r.all[1]
	clients := []*client{one.join("ann"), two.join("ann"), two.join("ann")}
	bob := r.all[2].join("bob")
	ann := router.Target{User: "ann"}
	if got, err := one.Subscribe(t.Context(), ann, "lobby"); err != nil || got.Connections != 3 || got.Fault != nil || got.Missing != nil {
		t.Errorf("subscribe: %+v, %v", got, err)
	}
	for _, c := range clients {
		c.until("room_joined")
	}
	if got, err := r.all[2].Unsubscribe(t.Context(), ann, "lobby"); err != nil || got.Connections != 3 {
		t.Errorf("unsubscribe: %+v, %v", got, err)
	}
	for _, c := range clients {
		c.until("room_left")
	}
	if got, err := one.Disconnect(t.Context(), ann); err != nil || got.Connections != 3 {
		t.Errorf("disconnect: %+v, %v", got, err)
	}
	for _, c := range clients {
		c.ended(wire.CloseDisconnected)
	}
	if got, err := one.Disconnect(t.Context(), router.Target{User: "stranger"}); err != nil || got.Connections != 0 {
		t.Errorf("a user without connections: %+v, %v", got, err)
	}
	bob.ended(0)
}

func TestAConnectionIsReachedWhereverItIs(t *testing.T) {
	r := start(t, "one", "two", "three")
	one := r.all[0]
	here, there := one.join("ann"), r.all[2].join("bob")
	for _, c := range []*client{here, there} {
		to := router.Target{Connection: c.id()}
		o := router.Outgoing{Event: "ding", Data: []byte(`{"a": [1, "é<"]}`), Publisher: "backend", IdempotencyKey: "k"}
		for range 2 {
			if err := one.SendConnection(t.Context(), c.id(), o); err != nil {
				t.Error(err)
			}
		}
		if got := c.until("ding"); got != `{"event":"ding","data":{"a": [1, "é<"]}}` {
			t.Errorf("it came as %s", got)
		}
		o.Data = nil
		if err := one.SendConnection(t.Context(), c.id(), o); !wire.IsCode(err, wire.Conflict) {
			t.Errorf("other content with the same key: %v", err)
		}
		if got, err := one.Subscribe(t.Context(), to, "lobby"); err != nil || got.Connections != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := one.Subscribe(t.Context(), to, "wall"); !wire.IsCode(err, wire.Forbidden) {
			t.Errorf("a room that nobody may join: %v", err)
		}
		got, err := one.Connection(t.Context(), c.id())
		want := fleet.Connection{
			Connection: c.id(), User: c.s.Identity().UserID, Address: "192.0.2.7", ExpiresAt: c.s.Identity().ExpiresAt.UnixMilli(), Rooms: 2,
			Instance: map[*client]string{here: "one", there: "three"}[c], Protocol: "gateway.v1", Transport: "pipe",
			ConnectedAt: c.s.Opened().UnixMilli(), QueueBytes: got.QueueBytes, // what the test has not taken
		}
		if err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
		if got, err := one.Unsubscribe(t.Context(), to, "lobby"); err != nil || got.Connections != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := one.Disconnect(t.Context(), to); err != nil || got.Connections != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		c.ended(wire.CloseDisconnected)
		if strings.Contains(strings.Join(c.seen, ""), `"ding"`) {
			t.Errorf("it came twice: %q", c.seen)
		}
	}
}

func TestAConnectionThatNobodyHasIsOnlySaidToBeGoneWhenAllHaveAnswered(t *testing.T) {
	r := start(t, "one", "two", "three")
	one, nobody := r.all[0], router.Target{Connection: "nobody"}
	all := func() []error {
		_, e1 := one.Subscribe(t.Context(), nobody, "lobby")
		_, e2 := one.Unsubscribe(t.Context(), nobody, "lobby")
		_, e3 := one.Disconnect(t.Context(), nobody)
		_, e4 := one.Connection(t.Context(), "nobody")
		return []error{e1, e2, e3, e4, one.SendConnection(t.Context(), "nobody", router.Outgoing{Event: "e"})}
	}
	for _, err := range all() {
		if !errors.Is(err, router.ErrNoConnection) {
			t.Error(err)
		}
	}
	r.away["three"] = true
	for _, err := range all() {
		if !wire.IsCode(err, wire.Unavailable) {
			t.Error(err)
		}
	}
}

func TestWhatIsWrongIsToldAsIfThereWereOneInstance(t *testing.T) {
	r := start(t, "one", "two")
	one, two := r.all[0], r.all[1]
	ann, bob := two.join("ann", "many:1", "many:2", "many:3"), one.join("bob")
	for name, c := range map[string]struct {
		to   router.Target
		room string
		code wire.Code
	}{
		"nobody in particular":    {router.Target{}, "lobby", wire.InvalidMessage},
		"a user and a connection": {router.Target{User: "ann", Connection: ann.id()}, "lobby", wire.InvalidMessage},
		"a bad room":              {router.Target{User: "ann"}, "a b", wire.InvalidMessage},
		"another user's room":     {router.Target{User: "ann"}, "user:bob", wire.Forbidden},
		"one room too many":       {router.Target{User: "ann"}, "lobby", wire.LimitExceeded},
	} {
		if got, err := one.Subscribe(t.Context(), c.to, c.room); !wire.IsCode(err, c.code) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := one.Unsubscribe(t.Context(), router.Target{User: "ann"}, "user:ann"); !wire.IsCode(err, wire.Forbidden) {
		t.Errorf("out of the user's own room: %v", err)
	}
	if _, err := one.Disconnect(t.Context(), router.Target{}); !wire.IsCode(err, wire.InvalidMessage) {
		t.Error(err)
	}
	// Some can, and others cannot.
	two.join("bob", "many:1", "many:2", "many:3")
	got, err := one.Subscribe(t.Context(), router.Target{User: "bob"}, "lobby")
	if err != nil || got.Connections != 1 || !wire.IsCode(got.Fault, wire.LimitExceeded) {
		t.Errorf("%+v, %v", got, err)
	}
	bob.until("room_joined")
	big := router.Outgoing{Event: "e", Data: []byte(`"` + strings.Repeat("d", 20_000) + `"`)}
	if err := one.SendConnection(t.Context(), ann.id(), big); !wire.IsCode(err, wire.TooLarge) {
		t.Errorf("more than instances tell each other: %v", err)
	}
}

func TestAnInstanceThatDoesNotAnswerIsNamed(t *testing.T) {
	r := start(t, "one", "two", "three")
	one := r.all[0]
	one.join("ann")
	r.all[1].join("ann")
	r.away["three"] = true
	clear(r.all[1].handlers) // of another version: it does not know the question
	got, err := one.Subscribe(t.Context(), router.Target{User: "ann"}, "lobby")
	slices.Sort(got.Missing)
	if err != nil || got.Connections != 1 || !slices.Equal(got.Missing, []string{"three", "two"}) {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = one.Disconnect(t.Context(), router.Target{User: "stranger"})
	if err != nil || got.Connections != 0 || len(got.Missing) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestARevocationEndsConnectionsOnEveryInstanceAndIsWrittenDown(t *testing.T) {
	r := start(t, "one", "two")
	one, two := r.all[0], r.all[1]
	ann, bob, zoe := two.join("ann"), two.join("bob"), two.join("zoe")
	until := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	if got, err := one.RevokeUser(t.Context(), "ann", until); err != nil || got.Connections != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := one.RevokeToken(t.Context(), "token of bob"); err != nil || got.Connections != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	ann.ended(wire.CloseDisconnected)
	bob.ended(wire.CloseTokenExpired)
	zoe.ended(0)
	for _, i := range r.all { // and refused from now on
		if known := i.router.Revocations(); len(known) != 2 {
			t.Errorf("%s knows %v", i.name, known)
		}
	}
	if w := one.written; len(w) != 2 || w[0] != (router.Revocation{User: "ann", Until: until}) || w[1].Token != auth.NameOf("token of bob") ||
		time.Until(w[1].Until) < 23*time.Hour || len(two.written) != 0 {
		t.Errorf("one wrote %+v, two %+v", one.written, two.written)
	}

	one.full = wire.NewError(wire.Unavailable, "Redis is away")
	if _, err := one.RevokeUser(t.Context(), "zoe", time.Time{}); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("not written down: %v", err)
	}
	zoe.ended(wire.CloseDisconnected)
}

func TestOneInstanceAloneNeedsNobody(t *testing.T) {
	r := start(t, "one")
	i := r.all[0]
	i.Fleet = fleet.New(fleet.Parts{Instance: "one", Router: i.router, Hub: i.hub, View: i, Drainer: i, Rebalancer: i})
	c := i.join("ann", "lobby")
	if err := i.SendConnection(t.Context(), c.id(), router.Outgoing{Event: "ding"}); err != nil {
		t.Error(err)
	}
	c.until("ding")
	if err := i.SendConnection(t.Context(), "nobody", router.Outgoing{Event: "ding"}); !errors.Is(err, router.ErrNoConnection) {
		t.Error(err)
	}
	for what, act := range map[string]func() (fleet.Reached, error){
		"subscribe":   func() (fleet.Reached, error) { return i.Subscribe(t.Context(), router.Target{User: "ann"}, "many:1") },
		"unsubscribe": func() (fleet.Reached, error) { return i.Unsubscribe(t.Context(), router.Target{User: "ann"}, "lobby") },
	} {
		if got, err := act(); err != nil || got.Connections != 1 {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	if got := i.Connections(t.Context(), "ann", fleet.Page{Limit: 10}); got.Count != 1 || len(got.Connections) != 1 || got.More {
		t.Errorf("%+v", got)
	}
	if got, err := i.RevokeUser(t.Context(), "ann", time.Time{}); err != nil || got.Connections != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	c.ended(wire.CloseDisconnected)
}
