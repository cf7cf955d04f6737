package presence

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const generous = 20 * time.Second // to wait for what comes at once

// world is some instances that share a Redis. Notices reach all instances at
// once, or through the broker on Redis; Redis is real.
type world struct {
	t      testing.TB
	cfg    redisconn.Config
	shared bool // the broker is the one on Redis

	mu  sync.Mutex
	all []*instance
}

// instance is a gateway without its outside.
type instance struct {
	t       testing.TB
	world   *world
	inc     string
	redis   *redisconn.Manager
	hub     *hub.Hub
	limiter *limit.Limiter
	wheel   *wheel.Wheel
	dir     *Directory
	broker  life

	gone    bool // guarded by world.mu: not among the others' Others
	stopped bool
}

func (i *instance) Self() string { return i.inc }

func (i *instance) Others() []string {
	i.world.mu.Lock()
	defer i.world.mu.Unlock()
	var out []string
	for _, o := range i.world.all {
		if o != i && !o.gone {
			out = append(out, o.inc)
		}
	}
	return out
}

// Notify implements Notifier.
func (w *world) Notify(_ context.Context, room string, payload []byte) error {
	w.mu.Lock()
	all := slices.DeleteFunc(slices.Clone(w.all), func(i *instance) bool { return i.gone })
	w.mu.Unlock()
	for _, i := range all {
		i.hub.Notice(room, payload)
	}
	return nil
}

type quick struct{}

func (quick) Pace(context.Context) error { return nil }

// look is the policy: rooms called "quiet" have no presence.
func look(room string) *policy.Room {
	return &policy.Room{Presence: !strings.HasPrefix(room, "quiet") && !wire.IsUserRoom(room)}
}

// life is a broker, and its start and end.
type life interface {
	broker.Broker
	Start(sink broker.Sink)
	Shutdown(ctx context.Context) error
}

func newWorld(t testing.TB, cfg redisconn.Config, incs ...string) *world {
	t.Helper()
	return (&world{t: t, cfg: cfg}).with(incs...)
}

func (w *world) with(incs ...string) *world {
	w.t.Helper()
	w.cfg.Prefix = "w:"
	for _, inc := range incs {
		w.add(inc)
	}
	return w
}

func (w *world) add(inc string) *instance {
	w.t.Helper()
	i := &instance{t: w.t, world: w, inc: inc, redis: redistest.NewManager(w.t, w.cfg), wheel: wheel.New()}
	var notifier Notifier = w
	if i.broker = membroker.New(membroker.Config{}); w.shared {
		b := redisbroker.New(i.redis, redisbroker.Config{}, zap.NewNop())
		i.broker, notifier = b, b
	}
	i.hub = hub.New(hub.Config{MaxRooms: 1000, CatchUpBytes: 1 << 20}, i.broker, look, quick{}, i.wheel)
	i.limiter = limit.New(limit.Config{MaxPerUser: 3})
	i.dir = New(time.Minute, i.redis, i, notifier, i.wheel, zap.NewNop())
	i.dir.Attach(i.hub, i.limiter)
	i.redis.Watch(i.dir)
	i.redis.Start()
	redistest.WaitReady(w.t, i.redis)
	i.wheel.Start()
	i.broker.Start(i.hub)
	i.dir.Start()
	w.mu.Lock()
	w.all = append(w.all, i)
	w.mu.Unlock()
	w.t.Cleanup(i.stop)
	i.settled()
	return i
}

// stop ends an instance in order.
func (i *instance) stop() {
	if i.stopped {
		return
	}
	i.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = i.dir.Shutdown(ctx) // Redis may be away
	i.hub.Shutdown()
	if err := i.broker.Shutdown(context.Background()); err != nil {
		i.t.Error(err)
	}
	i.wheel.Stop()
	i.redis.Close()
}

// leave takes an instance out of the others' view.
func (i *instance) leave() {
	i.world.mu.Lock()
	i.gone = true
	i.world.mu.Unlock()
}

func (i *instance) comeBack() {
	i.world.mu.Lock()
	i.gone = false
	i.world.mu.Unlock()
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(generous); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", generous, what)
		}
	}
}

// settled waits until an instance has written everything.
func (i *instance) settled() {
	i.t.Helper()
	eventually(i.t, i.inc+" has written everything", func() bool { return i.dir.Stats().Settled })
}

func (w *world) settled() {
	w.t.Helper()
	for _, i := range w.all {
		if !i.gone {
			i.settled()
		}
	}
}

type closer struct{ hub *hub.Hub }

func (closer) Dispatch(*session.Session, *wire.Request) bool  { return true }
func (closer) Refused(*session.Session, *wire.Request, error) {}
func (c closer) Closed(s *session.Session, _ wire.Close)      { c.hub.Remove(s) }

// person is a connection.
type person struct {
	*pipe.Client
	at *instance
	s  *session.Session
}

func (i *instance) connect(user string) *person {
	i.t.Helper()
	p := &person{at: i}
	p.Client = pipe.New(func(c transport.Conn) transport.Handler {
		p.s = session.New(c, session.Hello{Codec: jsonv1.Codec{}}, closer{i.hub})
		i.hub.Add(p.s)
		return p.s
	})
	if !p.s.Identify(nil, &auth.Identity{UserID: user}) {
		i.t.Fatal("no identity")
	}
	p.join(wire.UserRoom(user))
	p.Sent()
	return p
}

func (p *person) join(room string) {
	p.at.t.Helper()
	err := p.at.hub.Join(context.Background(), p.s, room, wire.Position{}, func(j hub.Joined) wire.Event {
		text := "null"
		switch m := j.Members; {
		case m != nil && m.Users != nil:
			text = `"` + strings.Join(m.Users, " ") + `"`
		case m != nil:
			text = fmt.Sprint(m.Count)
		}
		return wire.Event{Name: "joined", Data: []byte(text)}
	})
	if err != nil {
		p.at.t.Error(err)
	}
}

// in connects a user who joins a room, and waits until all know.
func (i *instance) in(user, room string) *person {
	i.t.Helper()
	p := i.connect(user)
	p.join(room)
	i.settled()
	return p
}

func (p *person) lost()             { p.Close(wire.Close{Code: 1000}) }
func (p *person) leave(room string) { p.at.hub.Leave(p.s, room) }

// heard is what a connection was sent, in few words.
func (p *person) heard() []string {
	var out []string
	for _, f := range p.Sent() {
		text := string(f.Payload())
		for _, cut := range [][2]string{
			{`{"event":"`, ""}, {`","data":{"room":"`, " "}, {`","userId":"`, " "}, {`"}}`, ""}, {`","data":"`, " "}, {`","data":`, " "}, {`"}`, ""}, {"}", ""},
		} {
			text = strings.Replace(text, cut[0], cut[1], 1)
		}
		out = append(out, text)
	}
	return out
}

func (p *person) expect(want ...string) {
	p.at.t.Helper()
	p.at.world.settled()
	if got := p.heard(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		p.at.t.Errorf("%s heard %q, want %q", p.s.Identity().UserID, got, want)
	}
}

func (i *instance) account() *limit.Account {
	i.t.Helper()
	a, ok := i.limiter.Open(netip.Addr{})
	if !ok {
		i.t.Fatal("refused")
	}
	return a
}

type redisPipe = redis.Pipeliner

func one(member string) redis.Z { return redis.Z{Score: 1, Member: member} }
