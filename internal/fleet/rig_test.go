package fleet_test

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/socketio"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const rules = `
version: 1
rooms:
  - {match: "lobby", join: anyone, publish: member, history: {size: 10}}
  - {match: "many:*", join: anyone, publish: member}
  - {match: "wall", join: nobody, publish: nobody}
  - {match: "user:*", publish: backend, history: {size: 10}}
`

// rig is some instances whose questions reach each other.
type rig struct {
	t    *testing.T
	all  []*instance
	away map[string]bool // instances that do not answer, by name
}

// instance is one of them. It is its own drainer, rebalancer and ledger.
type instance struct {
	*fleet.Fleet

	t        *testing.T
	rig      *rig
	name     string
	router   *router.Router
	hub      *hub.Hub
	sockets  *socketio.Server
	handlers map[string]cluster.Handler

	draining bool // written by Drain before it answers
	status   cluster.RebalanceStatus
	written  []router.Revocation
	full     error  // of the ledger
	slow     func() // what the ledger waits for; nil: nothing
	blind    error  // of the directory
}

// quick is a pacer that never waits.
type quick struct{}

func (quick) Pace(context.Context) error { return nil }

func start(t *testing.T, names ...string) *rig {
	t.Helper()
	r := &rig{t: t, away: map[string]bool{}}
	for _, name := range names {
		r.all = append(r.all, r.instance(name))
	}
	return r
}

func (r *rig) instance(name string) *instance {
	r.t.Helper()
	p, err := policy.Parse([]byte(rules))
	if err != nil {
		r.t.Fatal(err)
	}
	live, w, mem := policy.NewLive(p), wheel.New(), membroker.New(membroker.Config{})
	h := hub.New(hub.Config{MaxRooms: 4, CatchUpBytes: 1 << 20}, mem, live.Lookup, quick{}, w)
	ro := router.New(router.Config{Instance: name}, h, mem, auth.Development{}, live, w, zap.NewNop())
	w.Start()
	mem.Start(h)
	sockets := socketio.New(socketio.Config{MaxAsks: 2}, w, zap.NewNop())
	r.t.Cleanup(func() {
		sockets.Shutdown()
		ro.Shutdown()
		h.Shutdown()
		if err := mem.Shutdown(context.Background()); err != nil {
			r.t.Error(err)
		}
		w.Stop()
	})
	i := &instance{t: r.t, rig: r, name: name, router: ro, hub: h, sockets: sockets, handlers: map[string]cluster.Handler{}}
	i.Fleet = fleet.New(fleet.Parts{
		Instance: name, Router: ro, Hub: h, View: i, Drainer: i, Rebalancer: i, Bus: i, Directory: directory{i}, Ledger: i, Log: zap.NewNop(),
		Statistics: func() fleet.Statistics { return fleet.Statistics{Connections: h.Stats().Sessions} },
	})
	sockets.UseAdmission(i)
	r.t.Cleanup(i.Shutdown)
	return i
}

// Ask implements fleet.Bus. What is asked goes through its text, as between
// processes.
func (i *instance) Ask(ctx context.Context, kind string, payload []byte) (cluster.Answers, error) {
	var out cluster.Answers
	if len(payload) > 10_000 {
		return out, wire.NewError(wire.TooLarge, "too large")
	}
	for _, other := range i.Others() {
		at := i.rig.named(other.ID)
		if i.rig.away[other.ID] {
			out.Missing = append(out.Missing, other.ID)
			continue
		}
		reply := cluster.Reply{Instance: other.ID}
		if h := at.handlers[kind]; h != nil {
			reply.Data = h(ctx, slices.Clone(payload))
		} else {
			reply.Err = cluster.ErrUnknownKind
		}
		out.Replies = append(out.Replies, reply)
	}
	return out, nil
}

// TellOne implements fleet.Bus.
func (i *instance) TellOne(ctx context.Context, address, kind string, payload []byte) error {
	if len(payload) > 10_000 {
		return wire.NewError(wire.TooLarge, "too large")
	}
	if !i.rig.away[i.name] {
		i.rig.named(address).handlers[kind](ctx, slices.Clone(payload))
	}
	return nil
}

// Address implements fleet.Bus.
func (i *instance) Address() string { return i.name }

// Handle implements fleet.Bus.
func (i *instance) Handle(kind string, h cluster.Handler) { i.handlers[kind] = h }

// View implements fleet.View.
func (i *instance) View() []cluster.Instance {
	var all []cluster.Instance
	for _, one := range i.rig.all {
		state := cluster.Ready
		if one.draining {
			state = cluster.Draining
		}
		all = append(all, cluster.Instance{ID: one.name, State: state, Connections: one.hub.Count(), Capacity: 100})
	}
	return all
}

// Others implements fleet.View.
func (i *instance) Others() []cluster.Instance {
	return slices.DeleteFunc(i.View(), func(one cluster.Instance) bool { return one.ID == i.name })
}

// Unheard implements fleet.View.
func (i *instance) Unheard() []cluster.Instance { return nil }

func (i *instance) BeginDrain() bool {
	was := i.draining
	i.draining = true
	return !was
}

func (i *instance) Status() cluster.RebalanceStatus { return i.status }

func (i *instance) Record(_ context.Context, v router.Revocation) error {
	if i.slow != nil {
		i.slow()
	}
	i.written = append(i.written, v)
	return i.full
}

func (r *rig) named(name string) *instance {
	for _, i := range r.all {
		if i.name == name {
			return i
		}
	}
	r.t.Fatalf("there is no %s", name)
	return nil
}

// client is a connected client of one instance.
type client struct {
	*pipe.Client

	t    *testing.T
	s    *session.Session
	seen []string
}

// join connects a user to an instance, by a token of the user's own.
func (i *instance) join(user string, rooms ...string) *client {
	i.t.Helper()
	c := &client{t: i.t}
	id := auth.Identity{UserID: user, ExpiresAt: time.Now().Add(time.Hour), Token: auth.NameOf("token of " + user)}
	c.Client = pipe.New(func(conn transport.Conn) transport.Handler {
		h := i.router.Open(conn, session.Hello{Codec: jsonv1.Codec{}, Peer: netip.MustParseAddr("192.0.2.7"), Identity: &id})
		c.s, _ = h.(*session.Session)
		return h
	})
	c.until("room_joined")
	for _, room := range rooms {
		c.Text(`{"event":"join_room","id":1,"data":{"room":"` + room + `"}}`)
		c.until("room_joined")
	}
	return c
}

func (c *client) id() string { return c.s.ID() }

// until waits for one more event of a name and returns it.
func (c *client) until(event string) string {
	c.t.Helper()
	for begun := time.Now(); time.Since(begun) < 10*time.Second; time.Sleep(time.Millisecond) {
		for _, f := range c.Sent() {
			c.seen = append(c.seen, string(f.Payload()))
		}
		for n, m := range c.seen {
			if strings.HasPrefix(m, `{"event":"`+event+`"`) {
				c.seen = slices.Delete(c.seen, n, n+1)
				return m
			}
		}
	}
	c.t.Fatalf("no %s among %q", event, c.seen)
	return ""
}

// ended checks how the connection ended; code 0: it did not.
func (c *client) ended(code wire.CloseCode) {
	c.t.Helper()
	if why, over := c.Ended(); over != (code != 0) || why.Code != code {
		c.t.Errorf("%s: ended %v with %v, want %v", c.s.Identity().UserID, over, why, code)
	}
}

// others are the hubs of the other instances.
func (i *instance) others() []*hub.Hub {
	var all []*hub.Hub
	for _, one := range i.rig.all {
		if one != i {
			all = append(all, one.hub)
		}
	}
	return all
}

// directory looks at the other instances' hubs.
type directory struct{ *instance }

func (d directory) Rooms(_ context.Context, prefix, after string, limit int) ([]hub.RoomCount, bool, error) {
	sum := map[string]int{}
	for _, h := range d.others() {
		page, _ := h.Rooms(prefix, after, 1<<20)
		for _, r := range page {
			sum[r.Room] += r.Connections
		}
	}
	all := make([]hub.RoomCount, 0, len(sum))
	for _, room := range slices.Sorted(maps.Keys(sum)) {
		all = append(all, hub.RoomCount{Room: room, Connections: sum[room]})
	}
	return all[:min(len(all), limit)], len(all) > limit, d.blind
}

func (d directory) Census(context.Context) (hub.Census, error) { return hub.Census{}, d.blind }
