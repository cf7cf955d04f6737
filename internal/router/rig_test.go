package router

import (
	"context"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rooms is the policy of most tests.
const rooms = `
version: 1
rooms:
  - {match: "open:*", join: anyone, publish: member, history: {size: 10, age: 2m}}
  - {match: "live:*", join: anyone, publish: member}
  - {match: "named:*", join: authenticated, publish: authenticated, history: {size: 10}}
  - {match: "news", join: anyone, publish: backend, history: {size: 10}}
  - {match: "wall", join: nobody, publish: anyone}
  - {match: "seen:*", join: anyone, publish: member, presence: true}
  - {match: "kept:*", join: anyone, publish: member, presence: true, history: {size: 10}}
  - {match: "shut", join: nobody, publish: nobody}
  - {match: "deal:*", join: ask, publish: member, presence: true}
`

// freeUsers is a policy under which owners publish in their rooms.
const freeUsers = `
version: 1
rooms:
  - {match: "**", join: anyone, publish: anyone, history: {size: 10}, presence: true}
  - {match: "user:*", publish: owner, history: {size: 10}, presence: true}
`

// verifier takes "u:ann" for ann, and "u:ann;5m" for ann for five minutes; what
// it does first can be set.
type verifier struct {
	mu     sync.Mutex
	before func(ctx context.Context, token string) error // guarded by mu
	down   error                                         // guarded by mu
	probe  func(ctx context.Context) error               // guarded by mu
	probes int                                           // guarded by mu
}

// answers says what becomes of probes; nil: they find the service.
func (v *verifier) answers(probe func(ctx context.Context) error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.probe = probe
}

// Probe implements auth.Prober.
func (v *verifier) Probe(ctx context.Context) error {
	v.mu.Lock()
	v.probes++
	probe := v.probe
	v.mu.Unlock()
	if probe == nil {
		return nil
	}
	return probe(ctx)
}

// say makes the verifier say that its service is away, or no longer (nil).
func (v *verifier) say(down error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.down = down
}

// Degraded implements auth.Degraded.
func (v *verifier) Degraded() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.down
}

func (v *verifier) do(f func(ctx context.Context, token string) error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.before = f
}

func (v *verifier) Verify(ctx context.Context, token string, _ netip.Addr) (auth.Identity, error) {
	v.mu.Lock()
	before := v.before
	v.mu.Unlock()
	if before != nil {
		if err := before(ctx, token); err != nil {
			return auth.Identity{}, err
		}
	}
	user, ok := strings.CutPrefix(token, "u:")
	if !ok {
		return auth.Identity{}, wire.NewError(wire.Unauthenticated, "the token is not accepted")
	}
	user, life, timed := strings.Cut(user, ";")
	id := auth.Identity{UserID: user, Token: auth.DigestOf(token)}
	if d, err := time.ParseDuration(life); timed && err == nil {
		id.ExpiresAt = time.Now().Add(d)
	}
	if user == "brief" {
		id.ExpiresAt = time.UnixMilli(4102444800000)
	}
	return id, nil
}

// remote is a broker elsewhere: what its calls do first can be set, and it is
// no broker.Local.
type remote struct {
	broker.Broker
	mu     sync.Mutex
	before func(ctx context.Context, op, room string) error // guarded by mu
	after  func(op string, err error) error                 // guarded by mu
}

func (r *remote) do(f func(ctx context.Context, op, room string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = f
}

func (r *remote) call(ctx context.Context, op, room string) error {
	r.mu.Lock()
	before := r.before
	r.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(ctx, op, room)
}

func (r *remote) Publish(ctx context.Context, p broker.Publication) (wire.Position, error) {
	if err := r.call(ctx, "publish", p.Room); err != nil {
		return wire.Position{}, err
	}
	pos, err := r.Broker.Publish(ctx, p)
	r.mu.Lock()
	after := r.after
	r.mu.Unlock()
	if after != nil {
		err = after("publish", err)
	}
	return pos, err
}

func (r *remote) Subscribe(ctx context.Context, room string) error {
	if err := r.call(ctx, "subscribe", room); err != nil {
		return err
	}
	return r.Broker.Subscribe(ctx, room)
}

func (r *remote) History(ctx context.Context, room string, since wire.Position, limit int) (broker.Page, error) {
	if err := r.call(ctx, "history", room); err != nil {
		return broker.Page{}, err
	}
	return r.Broker.History(ctx, room, since, limit)
}

// quick is a pacer that never waits.
type quick struct{}

func (quick) Pace(context.Context) error { return nil }

type rig struct {
	t        testing.TB
	hub      *hub.Hub
	router   *Router
	mem      *membroker.Broker
	remote   *remote
	wheel    *wheel.Wheel
	live     *policy.Live
	verifier *verifier
	slow     *slowSink
	stopped  bool
}

// slowSink is the hub, with deliveries that a test can stop.
type slowSink struct {
	*hub.Hub
	mu   sync.Mutex
	gate <-chan struct{} // guarded by mu
}

// stall stops deliveries until the gate is closed.
func (s *slowSink) stall(gate <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = gate
}

func (s *slowSink) wait() {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

func (s *slowSink) Deliver(room string, pubs []*wire.Publication) {
	s.wait()
	s.Hub.Deliver(room, pubs)
}

func (s *slowSink) Gap(room string, g wire.Gap) {
	s.wait()
	s.Hub.Gap(room, g)
}

type options struct {
	rooms     string
	elsewhere bool
	asked     auth.Authorizer
	memory    membroker.Config
	hub       hub.Config
	router    Config
}

func parse(t testing.TB, doc string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func start(t testing.TB, o options) *rig {
	t.Helper()
	if o.rooms == "" {
		o.rooms = rooms
	}
	if o.hub.MaxRooms == 0 {
		o.hub.MaxRooms = 4
	}
	if o.hub.CatchUpBytes == 0 {
		o.hub.CatchUpBytes = 1 << 20
	}
	o.router.Instance, o.router.Version = "here", "v0"
	r := &rig{t: t, wheel: wheel.New(), live: policy.NewLive(parse(t, o.rooms)), verifier: &verifier{}}
	r.mem = membroker.New(o.memory)
	r.remote = &remote{Broker: r.mem}
	var b broker.Broker = r.mem
	if o.elsewhere {
		b = r.remote
	}
	r.hub = hub.New(o.hub, b, r.live.Lookup, quick{}, r.wheel)
	r.router = New(o.router, r.hub, b, r.verifier, r.live, r.wheel, zap.NewNop())
	if o.asked != nil {
		r.router.UseAuthorizer(o.asked)
	}
	r.slow = &slowSink{Hub: r.hub}
	r.wheel.Start()
	r.mem.Start(r.slow)
	return r
}

func (r *rig) stop() {
	r.t.Helper()
	if r.stopped {
		return
	}
	r.stopped = true
	r.router.Shutdown()
	r.hub.Shutdown()
	if err := r.mem.Shutdown(context.Background()); err != nil {
		r.t.Error(err)
	}
	r.wheel.Stop()
}

// inBubble runs a test against a gateway whose time passes at once.
func inBubble(t *testing.T, o options, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, o)
		defer r.stop()
		f(t, r)
	})
}

// client is one connection of a test.
type client struct {
	*pipe.Client
	t testing.TB
	s *session.Session
}

func (r *rig) open(hello session.Hello) *client {
	hello.Codec = jsonv1.Codec{}
	c := &client{t: r.t}
	c.Client = pipe.New(func(conn transport.Conn) transport.Handler {
		h := r.router.Open(conn, hello)
		c.s, _ = h.(*session.Session)
		return h
	})
	return c
}

func sessionOf(id string) session.Hello {
	return session.Hello{Identity: &auth.Identity{UserID: id}}
}

// user connects a user and throws the greetings away.
func (r *rig) user(id string) *client {
	r.t.Helper()
	c := r.open(session.Hello{Identity: &auth.Identity{UserID: id}})
	synctest.Wait()
	c.expect(connected(id), joinedOwn(wire.UserRoom(id)))
	return c
}

func (r *rig) guest() *client {
	id := auth.NewGuest()
	c := r.open(session.Hello{Identity: &id})
	synctest.Wait()
	c.Sent()
	return c
}

func (r *rig) stranger() *client { return r.open(session.Hello{}) }

// say sends messages, one after the other, and waits for all that follows.
func (c *client) say(messages ...string) {
	for _, m := range messages {
		c.Text(m)
	}
	synctest.Wait()
}

var volatile = regexp.MustCompile(`"(timestamp|pos|connectionId)":("[^"]*"|\d+)`)

// heard takes what was sent, without what differs from run to run.
func (c *client) heard() []string {
	var out []string
	for _, f := range c.Sent() {
		out = append(out, volatile.ReplaceAllString(string(f.Payload()), `"$1":_`))
	}
	return out
}

// expect takes what was sent and compares it: "…" at the end of a line stands
// for any rest.
func (c *client) expect(want ...string) {
	c.t.Helper()
	got := c.heard()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			c.t.Errorf("missing: %s", want[i])
		case i >= len(want):
			c.t.Errorf("too much: %s", got[i])
		default:
			start, open := strings.CutSuffix(want[i], "…")
			if got[i] != want[i] && !(open && strings.HasPrefix(got[i], start)) {
				c.t.Errorf("got  %s\nwant %s", got[i], want[i])
			}
		}
	}
}

// ask says one message and expects replies.
func (c *client) ask(message string, want ...string) {
	c.t.Helper()
	c.say(message)
	c.expect(want...)
}

func (c *client) ended(code wire.CloseCode) {
	c.t.Helper()
	if why, over := c.Ended(); !over || why.Code != code {
		c.t.Errorf("closed %v with %v, want %v", over, why, code)
	}
}

func (c *client) alive() {
	c.t.Helper()
	if why, over := c.Ended(); over {
		c.t.Errorf("closed with %v", why)
	}
}

func connected(user string) string {
	return `{"event":"connected","data":{"connectionId":_,"userId":"` + user +
		`","instance":"here","serverVersion":"v0","heartbeatMs":25000,"timestamp":_}}`
}

func joinedOwn(room string) string {
	return `{"event":"room_joined","data":{"room":"` + room + `","offset":0,"pos":_,"recovered":false…`
}

func failed(id, code string) string {
	if id != "" {
		id = `"id":` + id + `,`
	}
	return `{"event":"error",` + id + `"data":{"code":"` + code + `",…`
}

// empty checks that nothing is left of anybody.
func (r *rig) empty() {
	r.t.Helper()
	synctest.Wait()
	if st := r.hub.Stats(); st.Sessions != 0 || st.Rooms != 0 || st.Memberships != 0 {
		r.t.Errorf("left: %+v", st)
	}
	if n := r.router.publishes.inside.Load(); n != 0 {
		r.t.Errorf("%d publishes under way", n)
	}
}
