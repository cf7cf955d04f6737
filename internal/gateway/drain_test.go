package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// crowd is a hub of sessions that do nothing, with the order of a drain's
// steps.
type crowd struct {
	mu       sync.Mutex
	sessions map[*session.Session]bool // guarded by mu
	steps    []string                  // guarded by mu
	hold     error
	stay     bool // sessions never leave
}

func (c *crowd) note(step string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, step)
}

func (c *crowd) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.steps
}

func (c *crowd) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sessions)
}

func (c *crowd) Sessions() []*session.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*session.Session
	for s := range c.sessions {
		all = append(all, s)
	}
	return all
}

func (c *crowd) Hold(context.Context) error    { c.note("hold"); return c.hold }
func (c *crowd) Quiesce(context.Context) error { c.note("quiesce"); return c.hold }

func (c *crowd) Open(conn transport.Conn, hello session.Hello) transport.Handler {
	s := session.New(conn, hello, c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[s] = true
	return s
}

func (c *crowd) Resume(context.Context, transport.Conn, router.Resumed) (transport.Handler, bool) {
	return nil, false
}

func (c *crowd) Pending() int64                              { return 0 }
func (c *crowd) Admits(context.Context, session.Hello) error { return nil }

func (c *crowd) Dispatch(*session.Session, *wire.Request) bool  { return true }
func (c *crowd) Refused(*session.Session, *wire.Request, error) {}
func (c *crowd) Closed(s *session.Session, _ wire.Close) {
	if c.stay {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, s)
}

func (c *crowd) join() *pipe.Client {
	id := auth.NewGuest()
	return pipe.New(func(conn transport.Conn) transport.Handler {
		return c.Open(conn, session.Hello{Codec: jsonv1.Codec{}, Identity: &id})
	})
}

func (c *crowd) gateway(t *testing.T, cfg Config) *Gateway {
	t.Helper()
	c.sessions = map[*session.Session]bool{}
	cfg.MaxConnections, cfg.SecurityLevel, cfg.AuthDeadline = 1000, "minimal", time.Second
	cfg.MaxHandshakes, cfg.MaxUnauthenticated, cfg.TrustedProxyHeader = 10, 10, headerForwardedFor
	g, err := New(cfg, 1000, Parts{Router: c, Hub: c, Broker: c, Verifier: auth.Development{}, Limits: limit.New(limit.Config{}), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestADrainLetsEverybodyGoSpreadOverItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{}
		g := c.gateway(t, Config{DrainDelay: 5 * time.Second, DrainWindow: 2 * time.Second})
		var clients []*pipe.Client
		for range 400 {
			clients = append(clients, c.join())
		}
		begin := time.Now()
		done := make(chan error, 1)
		go func() { done <- g.Drain(t.Context()) }()
		synctest.Wait()
		if g.Ready(t.Context()) == nil {
			t.Error("ready while draining")
		}
		time.Sleep(4 * time.Second)
		if n := len(c.taken()); c.Count() != 400 || n != 0 {
			t.Errorf("during the delay: %d left, %d steps taken", c.Count(), n)
		}
		w := httptest.NewRecorder()
		if g.ServeHTTP(w, upgrade()); w.Code != 503 {
			t.Errorf("an upgrade during the delay got %d", w.Code)
		}
		time.Sleep(2 * time.Second) // one of the two of the window
		synctest.Wait()
		if n := c.Count(); n < 150 || n > 250 {
			t.Errorf("%d of 400 are left in the middle of the window", n)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 7*time.Second-drainTick || took > 8*time.Second {
			t.Errorf("took %v of the bubble's time", took)
		}
		if len(c.steps) != 2 || c.steps[0] != "hold" || c.steps[1] != "quiesce" {
			t.Errorf("steps %v", c.steps)
		}
		for _, client := range clients {
			why, ended := client.Ended()
			frames := client.Sent()
			if !ended || why.Code != wire.CloseServiceRestart || len(frames) != 1 ||
				!strings.Contains(string(frames[0].Payload()), `"event":"reconnect","data":{"reason":"drain","afterMs":`) {
				t.Fatalf("ended %v with %+v after %d frames", ended, why, len(frames))
			}
			client.Wait()
		}
	})
}

func TestAFewClientsNeedNoWholeWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{}
		g := c.gateway(t, Config{DrainWindow: time.Minute})
		client := c.join()
		begin := time.Now()
		if err := g.Drain(t.Context()); err != nil || time.Since(begin) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		client.Wait()
	})
}

func TestADrainGoesOnWhenTheBrokerLagsAndEndsWhenClientsDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{hold: errors.New("still under way"), stay: true}
		g := c.gateway(t, Config{DrainWindow: time.Second})
		client := c.join()
		if err := g.Drain(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, ended := client.Ended(); !ended {
			t.Error("the client was not told")
		}
		client.Wait()
	})
}

func TestADrainWaitsAsLongAsTheTransportMayTakeToClose(t *testing.T) {
	if got := (Config{DrainDelay: time.Second, DrainWindow: 2 * time.Second}).DrainTime(); got != 15*time.Second {
		t.Errorf("unless set: %v", got)
	}
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{stay: true}
		g := c.gateway(t, Config{CloseTimeout: time.Minute})
		client := c.join()
		time.AfterFunc(time.Minute, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			clear(c.sessions)
		})
		if err := g.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		client.Wait()
	})
}

// lateHub shows nobody at the first look, and a handshake ends just then.
type lateHub struct {
	*crowd
	once   sync.Once
	client *pipe.Client
	ended  func()
}

func (h *lateHub) looked() {
	h.once.Do(func() {
		h.client = h.join()
		h.ended()
	})
}

func (h *lateHub) Count() int {
	defer h.looked()
	return h.crowd.Count()
}

func (h *lateHub) Sessions() []*session.Session {
	defer h.looked()
	return h.crowd.Sessions()
}

func TestAHandshakeThatEndsWhileTheDrainLooksIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{}
		g := c.gateway(t, Config{})
		g.handshakes.Add(1)
		h := &lateHub{crowd: c, ended: func() { g.handshakes.Add(-1) }}
		g.parts.Hub = h
		if err := g.empty(t.Context()); err != nil {
			t.Error(err)
		}
		if n := c.Count(); n != 0 {
			t.Errorf("%d left behind", n)
		}
		h.client.Wait()
	})
}

func TestADrainEndsTheVerificationsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{}
		g := c.gateway(t, Config{DrainDelay: time.Second})
		g.cfg.AuthDeadline = time.Hour
		g.parts.Verifier = hanging{}
		w := httptest.NewRecorder()
		var served sync.WaitGroup
		served.Go(func() { g.ServeHTTP(w, upgrade(with("Authorization", "Bearer ann"))) })
		synctest.Wait()
		began := time.Now()
		if err := g.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		served.Wait()
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || g.Refused()["draining"] != 1 {
			t.Errorf("the client is told %d %v", w.Code, w.Header())
		}
	})
}

// hanging is a verifier that knows nothing until nobody wants to know any more.
type hanging struct{}

func (hanging) Verify(ctx context.Context, _ string, _ netip.Addr) (auth.Identity, error) {
	<-ctx.Done()
	return auth.Identity{}, wire.NewError(wire.Unavailable, "not now")
}

func TestADrainEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{}
		g := c.gateway(t, Config{DrainDelay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
