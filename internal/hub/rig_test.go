package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub is a broker that does what a test says, and checks that each room is
// subscribed to and unsubscribed from in turn.
type stub struct {
	t         testing.TB
	subscribe func(ctx context.Context, room string) error // nil: succeeds
	anyTime   bool                                         // the log may be read without a subscription: for somebody who is gone
	history   func(ctx context.Context, room string, since wire.Position, limit int) (broker.Page, error)
	read      func() // called when the log is read; nil: nothing

	mu     sync.Mutex
	live   map[string]bool // guarded by mu
	subs   int             // guarded by mu
	unsubs int             // guarded by mu
}

func (b *stub) Publish(context.Context, broker.Publication) (wire.Position, error) {
	return wire.Position{}, nil
}

func (b *stub) Subscribe(ctx context.Context, room string) error {
	if b.subscribe != nil {
		if err := b.subscribe(ctx, room); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live[room] {
		b.t.Errorf("%s is subscribed to twice", room)
	}
	b.live[room] = true
	b.subs++
	return nil
}

func (b *stub) Unsubscribe(_ context.Context, room string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.live[room] {
		b.t.Errorf("%s is unsubscribed from without a subscription", room)
	}
	delete(b.live, room)
	b.unsubs++
	return nil
}

func (b *stub) History(ctx context.Context, room string, since wire.Position, limit int) (broker.Page, error) {
	b.mu.Lock()
	if !b.live[room] && !b.anyTime {
		b.t.Errorf("the log of %s is read before the subscription", room)
	}
	b.mu.Unlock()
	if b.read != nil {
		b.read()
	}
	if b.history != nil {
		return b.history(ctx, room, since, limit)
	}
	return broker.Page{Top: wire.Position{Epoch: 1}}, nil
}

// balanced checks what is subscribed to.
func (b *stub) balanced(rooms ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.live) != len(rooms) || b.subs-b.unsubs != len(rooms) {
		b.t.Errorf("subscribed to %v, want %v (%d and %d)", b.live, rooms, b.subs, b.unsubs)
	}
	for _, room := range rooms {
		if !b.live[room] {
			b.t.Errorf("not subscribed to %s", room)
		}
	}
}

// pacer counts.
type pacer struct {
	mu sync.Mutex
	n  int
}

func (p *pacer) Pace(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	return nil
}

type rig struct {
	t      testing.TB
	hub    *Hub
	broker *stub
	pacer  *pacer
	wheel  *wheel.Wheel
	rule   *policy.Room
	mu     sync.Mutex
}

func start(t testing.TB) *rig { return startWith(t, Config{MaxRooms: 3, CatchUpBytes: 1000}) }

func startWith(t testing.TB, cfg Config) *rig {
	t.Helper()
	r := &rig{t: t, broker: &stub{t: t, live: map[string]bool{}}, pacer: &pacer{}, wheel: wheel.New()}
	r.rule = &policy.Room{Presence: true, Slow: wire.SlowDropOldest, Retention: hundred}
	r.hub = New(cfg, r.broker, r.look, r.pacer, r.wheel)
	r.wheel.Start()
	return r
}

// hundred is how much rooms keep.
var hundred = broker.Retention{Size: 100} // read only

// look is the policy: rooms called "quiet" have no presence, "unknown" no rule.
func (r *rig) look(room string) *policy.Room {
	switch {
	case strings.HasPrefix(room, "quiet"):
		return &policy.Room{Retention: hundred}
	case room == "unknown":
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rule
}

func (r *rig) setRule(rule *policy.Room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rule = rule
}

func (r *rig) stop() {
	r.hub.Shutdown()
	r.wheel.Stop()
}

// closer is the dispatcher of sessions that only close.
type closer struct{ hub *Hub }

func (closer) Dispatch(*session.Session, *wire.Request) bool  { return true }
func (closer) Refused(*session.Session, *wire.Request, error) {}
func (c closer) Closed(s *session.Session, _ wire.Close)      { c.hub.Remove(s) }

type member struct {
	*pipe.Client
	t testing.TB
	r *rig
	s *session.Session
}

// user connects a user, "" for nobody.
func (r *rig) user(id string) *member { return r.connect(id, pipe.New) }

func (r *rig) connect(id string, connect func(func(transport.Conn) transport.Handler) *pipe.Client) *member {
	m := &member{t: r.t, r: r}
	m.Client = connect(func(c transport.Conn) transport.Handler {
		m.s = session.New(c, session.Hello{Codec: jsonv1.Codec{}}, closer{r.hub})
		r.hub.Add(m.s)
		return m.s
	})
	if id != "" && !m.s.Identify(nil, &auth.Identity{UserID: id}) {
		r.t.Fatal("no identity")
	}
	return m
}

func (m *member) gone() { m.Close(wire.Close{Code: 1000}) }

// reply tells of a join in few words.
func reply(j Joined) wire.Event {
	text := fmt.Sprintf("%s at %d.%d", j.Room, j.Position.Epoch, j.Position.Offset)
	if j.Asked {
		text += fmt.Sprintf(" recovered=%v%s", j.Recovered, j.Reason)
	}
	if j.Members != nil {
		text += fmt.Sprintf(" %d%v", j.Members.Count, j.Members.Users)
	}
	raw, _ := json.Marshal(text)
	return wire.Event{Name: "joined", Data: raw}
}

func (m *member) join(room string, since wire.Position) {
	m.t.Helper()
	if err := m.r.hub.Join(m.t.Context(), m.s, room, since, reply); err != nil {
		m.t.Errorf("join %s: %v", room, err)
	}
}

func pub(room string, epoch, offset uint64) *wire.Publication {
	return &wire.Publication{Room: room, Event: "e", Position: wire.Position{Epoch: epoch, Offset: offset, Nonce: epoch*1000 + offset}}
}

func (r *rig) deliver(pubs ...*wire.Publication) { r.hub.Deliver(pubs[0].Room, pubs) }

var shape = regexp.MustCompile(`^\{"event":"(\w+)"(?:,"room":"[^"]*")?(?:,"offset":(\d+),"pos":"(\w+)\.[^"]*")?,"data":(.*)\}$`)

// heard takes what was sent, in few words.
func (m *member) heard() []string {
	var out []string
	for _, f := range m.Sent() {
		p := shape.FindStringSubmatch(string(f.Payload()))
		if p == nil {
			out = append(out, string(f.Payload()))
			continue
		}
		words := p[1]
		if p[2] != "" {
			pos, _ := wire.ParsePosition(p[3] + ".0.AAAAAAAA")
			words += fmt.Sprintf(" %d.%s", pos.Epoch, p[2])
		}
		if p[4] != "null" {
			words += " " + strings.Trim(p[4], `"`)
		}
		out = append(out, words)
	}
	return out
}

func (m *member) expect(want ...string) {
	m.t.Helper()
	got := m.heard()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		m.t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// empty checks that nothing is left.
func (r *rig) empty() {
	r.t.Helper()
	if st := r.hub.Stats(); st.Sessions != 0 || st.Rooms != 0 || st.Memberships != 0 || r.hub.Count() != 0 {
		r.t.Errorf("left: %+v", st)
	}
	r.broker.balanced()
}
