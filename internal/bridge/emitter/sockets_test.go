package emitter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/codec"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const rooms = `
version: 1
rooms:
  - {match: "wall", join: nobody, publish: anyone}
  - {match: "shut", join: anyone, publish: nobody}
  - {match: "news", join: anyone, publish: backend, history: {size: 10}}
  - {match: "r1", join: anyone, publish: member}
  - {match: "r2", join: anyone, publish: member}
  - {match: "r3", join: anyone, publish: member}
`

type quick struct{}

func (quick) Pace(context.Context) error { return nil }

// gateway are the connections of an instance.
type gateway struct {
	*Sockets
	t      *testing.T
	router *router.Router
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	p, err := policy.Parse([]byte(rooms))
	if err != nil {
		t.Fatal(err)
	}
	w, mem, live := wheel.New(), membroker.New(membroker.Config{}), policy.NewLive(p)
	h := hub.New(hub.Config{MaxRooms: 4, CatchUpBytes: 1 << 20}, mem, live.Lookup, quick{}, w)
	r := router.New(router.Config{}, h, mem, nil, live, w, zap.NewNop())
	w.Start()
	mem.Start(h)
	t.Cleanup(func() {
		for _, s := range h.Sessions() {
			s.Abort()
		}
		r.Shutdown()
		h.Shutdown()
		if err := mem.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		w.Stop()
	})
	return &gateway{Sockets: NewSockets(SocketParts{Hub: h, Router: r, Rule: live.Lookup, Pacer: quick{}}), t: t, router: r}
}

// client is a connection.
type client struct {
	*pipe.Client
	t  *testing.T
	id string
}

// open connects, joins rooms and throws away what was said about that.
func (g *gateway) open(c codec.Codec, user string, rooms ...string) *client {
	g.t.Helper()
	out := &client{t: g.t}
	out.Client = pipe.New(func(conn transport.Conn) transport.Handler {
		hello := session.Hello{Codec: c}
		if user != "" {
			hello.Identity = &auth.Identity{UserID: user}
		}
		h := g.router.Open(conn, hello)
		s, ok := h.(*session.Session)
		if !ok {
			g.t.Fatalf("%T", h)
		}
		out.id = s.ID()
		return h
	})
	for _, room := range rooms {
		if n, err := g.router.Subscribe(g.t.Context(), router.Target{Connection: out.id}, room); n != 1 || err != nil {
			g.t.Fatal(n, err)
		}
	}
	out.Sent()
	return out
}

// expect takes what was sent and compares it; "…" at the end of a line stands
// for any rest.
func (c *client) expect(want ...string) {
	c.t.Helper()
	var got []string
	for _, f := range c.Sent() {
		got = append(got, string(f.Payload()))
	}
	same := slices.EqualFunc(got, want, func(g, w string) bool {
		start, open := strings.CutSuffix(w, "…")
		return g == w || open && strings.HasPrefix(g, start)
	})
	if !same {
		c.t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func event(name string, args ...string) Event {
	return Event{Name: name, Args: []byte(strings.Join(args, ",")), Count: len(args)}
}

func TestAnEventReachesEveryDialectAsItIsThere(t *testing.T) {
	g := newGateway(t)
	plain := g.open(jsonv1.Codec{}, "ann", "r1")
	socket := g.open(socketio.For("/"), "bob", "r1")
	admin := g.open(socketio.For("/admin"), "eve", "r1")
	stranger := g.open(jsonv1.Codec{}, "")
	for _, e := range []Event{
		event("none"), event("one", `{"a":1}`), event("two", "1", `"x"`),
		event("bin", `{"_binary":true,"base64":"AQID"}`, `[{"_binary":true,"base64":"/w=="}]`),
	} {
		for _, to := range []Aim{{Namespace: "/", Rooms: []string{"r1"}}, {Namespace: "/"}} {
			if n := g.Deliver(t.Context(), to, e); n != 2 {
				t.Errorf("%d got it", n)
			}
		}
	}
	var wantPlain, wantSocket []string
	for _, each := range []struct {
		plain  string
		socket []string
	}{
		{`{"event":"none","data":null}`, []string{`42["none"]`}},
		{`{"event":"one","data":{"a":1}}`, []string{`42["one",{"a":1}]`}},
		{`{"event":"two","data":[1,"x"]}`, []string{`42["two",1,"x"]`}},
		{`{"event":"bin","data":[{"_binary":true,"base64":"AQID"},[{"_binary":true,"base64":"/w=="}]]}`,
			[]string{`452-["bin",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]`, "\x01\x02\x03", "\xff"}},
	} {
		wantPlain = append(wantPlain, each.plain, each.plain)
		wantSocket = slices.Concat(wantSocket, each.socket, each.socket)
	}
	plain.expect(wantPlain...)
	socket.expect(wantSocket...)
	admin.expect()
	stranger.expect()
	g.Deliver(t.Context(), Aim{Namespace: "/admin"}, event("e", "1"))
	admin.expect(`42/admin,["e",1]`)
	plain.expect()
}

func TestAnEventIsEncodedOncePerDialect(t *testing.T) {
	g := newGateway(t)
	a, b := g.open(socketio.For("/"), "ann", "r1"), g.open(socketio.For("/"), "bob", "r1")
	g.Deliver(t.Context(), Aim{Namespace: "/", Rooms: []string{"r1"}}, event("e"))
	if one, two := a.Sent(), b.Sent(); len(one) != 1 || len(two) != 1 || one[0] != two[0] {
		t.Error("they got frames of their own")
	}
}

func TestWhoIsMeantGetsItOnce(t *testing.T) {
	g := newGateway(t)
	all := map[string]*client{
		"ann": g.open(jsonv1.Codec{}, "ann", "r1", "r2"), "bob": g.open(socketio.For("/"), "bob", "r2"),
		"cat": g.open(jsonv1.Codec{}, "cat", "r3"), "eve": g.open(jsonv1.Codec{}, "eve"),
	}
	for _, c := range []struct {
		rooms, except []string
		want          string
	}{
		{nil, nil, "ann bob cat eve"},
		{nil, []string{"r2"}, "cat eve"},
		{nil, []string{"r2", all["eve"].id, "nowhere"}, "cat"},
		{[]string{"r1", "r2"}, nil, "ann bob"},
		{[]string{"r1", "r2", "r3"}, []string{"r1"}, "bob cat"},
		{[]string{"r1", "r1", all["ann"].id}, nil, "ann"},
		{[]string{all["eve"].id}, nil, "eve"},
		{[]string{all["eve"].id}, []string{all["eve"].id}, ""},
		{[]string{"user:cat"}, nil, "cat"},
		{[]string{"nowhere", "a room?", ""}, nil, ""},
	} {
		n := g.Deliver(t.Context(), Aim{Namespace: "/", Rooms: c.rooms, Except: c.except}, event("e"))
		var got []string
		for name, one := range all {
			for range one.Sent() {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want || n != len(got) {
			t.Errorf("to %v but %v: %v, and it says %d", c.rooms, c.except, got, n)
		}
	}
	if !g.Occupied("/", "r3") || g.Occupied("/", "r4") || !g.Occupied("/", all["bob"].id) || g.Occupied("/", "") {
		t.Error("it does not know which rooms have members")
	}
}

func TestARoomThatNobodyMayPublishToGetsNothing(t *testing.T) {
	g := newGateway(t)
	c := g.open(jsonv1.Codec{}, "ann", "shut", "news")
	if n := g.Deliver(t.Context(), Aim{Namespace: "/", Rooms: []string{"shut"}}, event("e")); n != 0 {
		t.Errorf("%d got it", n)
	}
	g.Deliver(t.Context(), Aim{Namespace: "/", Rooms: []string{"shut", "news"}}, event("e"))
	c.expect(`{"event":"e","data":null}`) // without an offset
}

func TestBackendsSeatAndUnseatWhoIsMeant(t *testing.T) {
	g := newGateway(t)
	ann, bob := g.open(jsonv1.Codec{}, "ann", "r1"), g.open(socketio.For("/"), "bob", "r1")
	eve := g.open(jsonv1.Codec{}, "eve")
	in := Aim{Namespace: "/", Rooms: []string{"r1"}}
	if n, err := g.Join(t.Context(), in, []string{"r2", "r3"}); n != 4 || err != nil {
		t.Error(n, err)
	}
	ann.expect(`{"event":"room_joined","data":{"room":"r2"…`, `{"event":"room_joined","data":{"room":"r3"…`)
	bob.expect(`42["room_joined",{"room":"r2"…`, `42["room_joined",{"room":"r3"…`)
	eve.expect()
	for room, want := range map[string]wire.Code{"wall": wire.Forbidden, "user:eve": wire.Forbidden, "a room?": wire.InvalidMessage} {
		if n, err := g.Join(t.Context(), in, []string{room}); n != 0 || !wire.IsCode(err, want) {
			t.Errorf("%s: %d, %v", room, n, err)
		}
	}
	if n, err := g.Leave(in, []string{"r2", "nowhere"}); n != 2 || err != nil {
		t.Error(n, err)
	}
	ann.expect(`{"event":"room_left","data":{"room":"r2","reason":"removed"}}`)
	bob.expect(`42["room_left",{"room":"r2","reason":"removed"}]`)
	if n, err := g.Leave(in, []string{"user:ann", "a room?"}); n != 0 || err == nil {
		t.Error(n, err)
	}
	if n := g.Disconnect(Aim{Namespace: "/", Rooms: []string{"r3"}, Except: []string{bob.id}}, false); n != 1 {
		t.Errorf("%d were disconnected", n)
	}
	if why, over := ann.Ended(); !over || why.Code != wire.CloseDisconnected {
		t.Error(why, over)
	}
	for name, c := range map[string]*client{"bob": bob, "eve": eve} {
		if why, over := c.Ended(); over {
			t.Errorf("%s is gone: %v", name, why)
		}
	}
}

func TestJoinsOfManyEndWithinTheirTime(t *testing.T) {
	g := newGateway(t)
	const many = 100
	for n := range many {
		g.open(jsonv1.Codec{}, fmt.Sprint("user-", n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	if n, err := g.Join(ctx, Aim{Namespace: "/"}, []string{"r1"}); n != many || err != nil {
		t.Error(n, err)
	}
	cancel()
	if n, _ := g.Leave(Aim{Namespace: "/"}, []string{"r1"}); n != many {
		t.Error(n)
	}
}

func TestAnEmitterOfNodeReachesConnections(t *testing.T) {
	redis := redistest.Single(t)
	g := newGateway(t)
	plain, socket := g.open(jsonv1.Codec{}, "ann"), g.open(socketio.For("/"), "bob", "r1")
	l := New(config(), Parts{Redis: redistest.Manager(t, redis.Config()), Local: g.Sockets, Log: zap.NewNop()})
	l.Start()
	t.Cleanup(l.Shutdown)
	until(t, "it listens", func() bool { return l.Err() == nil })
	publish(t, redis, "socket.io",
		`io.to("r1").emit("to one room", 1, Buffer.from("a"))`, `io.socketsJoin("r2")`, `io.to("r2").emit("behind the join")`,
		`io.in("r1").disconnectSockets()`, `io.emit("last")`)
	until(t, "all is done", func() bool { return l.Stats().Events == 3 })
	socket.expect(`451-["to one room",1,{"_placeholder":true,"num":0}]`, "a", `42["room_joined",{"room":"r2"…`, `42["behind the join"]`)
	plain.expect(`{"event":"room_joined","data":{"room":"r2"…`, `{"event":"behind the join","data":null}`, `{"event":"last","data":null}`)
	if why, over := socket.Ended(); !over || why.Code != wire.CloseDisconnected {
		t.Error(why, over)
	}
}
