package fleet_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker"
	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/presence"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// member is an instance as the gateway makes it, on a Redis.
type member struct {
	*instance

	registry *cluster.Registry
	bus      *cluster.Bus
	ledger   *cluster.Revocations
}

// incarnations is a registry as the directory sees it.
type incarnations struct{ *cluster.Registry }

func (r incarnations) Self() string { return r.Incarnation() }

func (r incarnations) Others() []string {
	var all []string
	for _, i := range r.Registry.Others() {
		all = append(all, i.Incarnation)
	}
	return all
}

// enlist starts an instance on a Redis and waits until it has loaded what is
// there.
func enlist(t *testing.T, at redisconn.Config, name string) *member {
	t.Helper()
	log := zap.NewNop()
	p, err := policy.Parse([]byte(rules))
	if err != nil {
		t.Fatal(err)
	}
	manager := redistest.NewManager(t, at)
	live, w := policy.NewLive(p), wheel.New()
	b := redisbroker.New(manager, redisbroker.Config{}, log)
	h := hub.New(hub.Config{MaxRooms: 4, CatchUpBytes: 1 << 20}, b, live.Lookup, quick{}, w)
	m := &member{instance: &instance{t: t, name: name, hub: h}}
	m.router = router.New(router.Config{Instance: name}, h, b, auth.Development{}, live, w, log)
	m.registry, err = cluster.New(cluster.Config{
		ID: name, TTL: time.Second, Rebalance: cluster.RebalanceConfig{Threshold: 0.15, Rate: 50},
	}, manager, log)
	if err != nil {
		t.Fatal(err)
	}
	m.registry.UseLoad(func() cluster.Load { return cluster.Load{Connections: h.Count(), Capacity: 100} })
	m.bus = cluster.NewBus(m.registry, b, log)
	b.UseListener(m.bus)
	m.ledger = cluster.NewRevocations(manager, 1000, log)
	dir := presence.New(10*time.Second, manager, incarnations{m.registry}, b, w, log)
	dir.Attach(h, limit.New(limit.Config{}))
	m.registry.AddKeeper(dir.Keep)
	m.Fleet = fleet.New(fleet.Parts{
		Instance: name, Router: m.router, Hub: h, View: m.registry, Drainer: m.instance, Rebalancer: m.instance,
		Bus: m.bus, Directory: dir, Ledger: m.ledger, Log: log,
	})
	manager.Start()
	w.Start()
	b.Start(h)
	m.bus.Start()
	m.registry.Start()
	m.ledger.Start(m.router)
	dir.Start()
	t.Cleanup(func() {
		_ = dir.Shutdown(context.Background()) // Redis may be away
		m.ledger.Shutdown()
		_ = m.registry.Shutdown(context.Background())
		m.bus.Shutdown()
		m.router.Shutdown()
		h.Shutdown()
		if err := b.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		w.Stop()
	})
	redistest.WaitReady(t, manager)
	eventually(t, name+" knows what was revoked", m.ledger.Loaded)
	return m
}

// assemble starts instances that know and hear each other.
func assemble(t *testing.T, at redisconn.Config, names ...string) []*member {
	t.Helper()
	var all []*member
	for _, name := range names {
		all = append(all, enlist(t, at, name))
	}
	for _, m := range all {
		eventually(t, m.name+" hears of all", func() bool {
			answers, err := m.bus.Ask(t.Context(), "fleet.connection", []byte(`{}`))
			return err == nil && len(answers.Replies) == len(names)-1 && len(answers.Missing) == 0
		})
	}
	return all
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

func shared(t *testing.T) redisconn.Config {
	t.Helper()
	at := redistest.Single(t).Config()
	at.Prefix = "fleet:"
	return at
}

func TestInstancesOnARedisActAsOne(t *testing.T) {
	at := shared(t)
	all := assemble(t, at, "one", "two", "three")
	one, two := all[0], all[1]
	ann, bob := two.join("ann"), all[2].join("bob")

	o := router.Outgoing{Event: "ding", Data: []byte(`{"n": 1}`), Publisher: "backend", IdempotencyKey: "k"}
	for _, from := range []*member{one, all[2], two} { // whichever is asked, the key is the same
		if err := from.SendConnection(t.Context(), ann.id(), o); err != nil {
			t.Error(err)
		}
	}
	if got := ann.until("ding"); got != `{"event":"ding","data":{"n": 1}}` {
		t.Errorf("it came as %s", got)
	}
	o.Data = []byte(`{"n": 2}`)
	if err := one.SendConnection(t.Context(), ann.id(), o); !wire.IsCode(err, wire.Conflict) {
		t.Errorf("other content with the same key: %v", err)
	}
	if got, err := one.Subscribe(t.Context(), router.Target{User: "bob"}, "lobby"); err != nil || got.Connections != 1 || len(got.Missing) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	bob.until("room_joined")
	if err := one.SendEveryone(t.Context(), router.Outgoing{Event: "news"}); err != nil {
		t.Error(err)
	}
	ann.until("news")
	bob.until("news")
	if slices.ContainsFunc(ann.seen, func(m string) bool { return m == `{"event":"ding","data":{"n": 1}}` }) {
		t.Error("what was sent with one key came twice")
	}
	if c, err := one.Connection(t.Context(), bob.id()); err != nil || c.Instance != "three" || c.User != "bob" || c.Rooms != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	if s, err := one.Seats(t.Context(), bob.id(), fleet.Page{Limit: 10}); err != nil || s.Count != 2 || s.Rooms[0].Room != "lobby" {
		t.Errorf("%+v, %v", s, err)
	}
	if room, err := one.Room(t.Context(), "lobby"); err != nil || room.Connections != 1 || room.Top.Offset != 0 || room.Missing != nil {
		t.Errorf("%+v, %v", room, err)
	}
	if _, err := one.Connection(t.Context(), "nobody"); !errors.Is(err, router.ErrNoConnection) {
		t.Error(err)
	}
	if n, err := one.Drain(t.Context(), "two"); n != 1 || err != nil || !two.draining {
		t.Errorf("drain: %d, %v", n, err)
	}

	if got, err := one.RevokeUser(t.Context(), "ann", time.Time{}); err != nil || got.Connections != 1 || len(got.Missing) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	ann.ended(wire.CloseDisconnected)
	if got, err := one.RevokeToken(t.Context(), "token of bob"); err != nil || got.Connections != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	bob.ended(wire.CloseTokenExpired)
	four := enlist(t, at, "four") // later
	if known := four.router.Revocations(); len(known) != 2 {
		t.Errorf("four knows %v", known)
	}
}

func TestAnInstanceThatHearsNothingRevokesAllTheSame(t *testing.T) {
	all := assemble(t, shared(t), "one", "two")
	one, two := all[0], all[1]
	ann := two.join("ann")
	two.bus.Shutdown() // as while its subscription is being replaced
	got, err := one.RevokeUser(t.Context(), "ann", time.Time{})
	if err != nil || got.Connections != 0 || !slices.Equal(got.Missing, []string{"two"}) {
		t.Errorf("%+v, %v", got, err)
	}
	eventually(t, "ann is disconnected", func() bool { _, over := ann.Ended(); return over })
	ann.ended(wire.CloseDisconnected)
	if _, err := one.Connection(t.Context(), "elsewhere"); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("a connection that two may have: %v", err)
	}
	// It is gone: nobody waits for it any more.
	if err := two.registry.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one is alone", func() bool { return len(one.Instances()) == 1 })
	if _, err := one.Connection(t.Context(), "elsewhere"); !errors.Is(err, router.ErrNoConnection) {
		t.Error(err)
	}
}

func TestWhatIsOnAllInstancesIsListedOnEach(t *testing.T) {
	all := assemble(t, shared(t), "one", "two", "three")
	all[0].join("ann", "lobby", "many:1")
	all[1].join("ann", "lobby")
	all[1].join("bob", "lobby", "many:2")
	for _, m := range all {
		var rooms fleet.Rooms
		eventually(t, m.name+" lists the rooms", func() bool {
			rooms = m.Rooms(t.Context(), "", fleet.Page{Limit: 3})
			return slices.Equal(rooms.Rooms, []hub.RoomCount{{Room: "lobby", Connections: 3}, {Room: "many:1", Connections: 1}, {Room: "many:2", Connections: 1}})
		})
		if !rooms.More || len(rooms.Missing) != 0 {
			t.Errorf("%s: %+v", m.name, rooms)
		}
		if rooms := m.Rooms(t.Context(), "", fleet.Page{Limit: 3, After: "many:2"}); len(rooms.Rooms) != 2 || rooms.Rooms[0] != (hub.RoomCount{Room: "user:ann", Connections: 2}) || rooms.More {
			t.Errorf("%s: %+v", m.name, rooms)
		}
		for room, want := range map[string]fleet.Members{
			"lobby": {Users: []string{"ann", "bob"}, Connections: 3}, "many:1": {Users: []string{"ann"}, Connections: 1},
			"user:ann": {Users: []string{"ann"}, Connections: 2}, "many:3": {Users: []string{}},
		} {
			eventually(t, m.name+" lists who is in "+room, func() bool {
				got := m.Members(t.Context(), room, fleet.Page{Limit: 10})
				return slices.Equal(got.Users, want.Users) && got.Connections == want.Connections && len(got.Missing) == 0 && got.Next == ""
			})
		}
		if got := m.Members(t.Context(), "lobby", fleet.Page{Limit: 1}); !slices.Equal(got.Users, []string{"ann"}) || got.Next != "ann" {
			t.Errorf("%s: the first page has %+v", m.name, got)
		}
		eventually(t, m.name+" counts", func() bool {
			c := m.Census(t.Context())
			return c.Census == (hub.Census{Connections: 3, Users: 3, Rooms: 7, Memberships: 8}) && len(c.Missing) == 0
		})
		if got := m.Connections(t.Context(), "ann", fleet.Page{Limit: 10}); got.Count != 2 || len(got.Connections) != 2 || len(got.Missing) != 0 {
			t.Errorf("%s: %+v", m.name, got)
		}
	}
}
