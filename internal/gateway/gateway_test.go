package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is everything around a gateway, played.
type stage struct {
	count   int
	pending int64
	limits  limit.Config
	budget  int64
	hello   session.Hello
	got     transport.Request
	upgrade error
	admits  error
	verify  func(ctx context.Context, token string, peer netip.Addr) (auth.Identity, error)
}

func (s *stage) Count() int                   { return s.count }
func (s *stage) Sessions() []*session.Session { return nil }
func (s *stage) Hold(context.Context) error   { return nil }
func (s *stage) Pending() int64               { return s.pending }
func (s *stage) Quiesce(context.Context) error {
	return nil
}

func (s *stage) Open(_ transport.Conn, hello session.Hello) transport.Handler {
	s.hello = hello
	return nil
}

func (s *stage) Resume(context.Context, transport.Conn, router.Resumed) (transport.Handler, bool) {
	return nil, false
}

func (s *stage) Admits(context.Context, session.Hello) error { return s.admits }

func (s *stage) Accept(req transport.Request) error {
	s.got = req
	if s.upgrade == nil {
		req.Open(nil)
	}
	return s.upgrade
}

func (s *stage) Verify(ctx context.Context, token string, peer netip.Addr) (auth.Identity, error) {
	if s.verify != nil {
		return s.verify(ctx, token, peer)
	}
	return auth.Development{}.Verify(ctx, token, peer)
}

func (s *stage) gateway(t testing.TB, cfg Config, loopbackOnly bool) *Gateway {
	t.Helper()
	cfg.MaxConnections, cfg.AuthDeadline = 10, time.Second
	if cfg.SecurityLevel == "" {
		cfg.SecurityLevel = "minimal"
	}
	if cfg.MaxHandshakes == 0 {
		cfg.MaxHandshakes, cfg.MaxUnauthenticated = 10, 10
	}
	if cfg.TrustedProxyHeader == "" {
		cfg.TrustedProxyHeader = headerForwardedFor
	}
	g, err := New(cfg, 10, Parts{
		Router: s, Hub: s, Broker: s, Acceptor: s, Verifier: s, LoopbackOnly: loopbackOnly,
		Limits: limit.New(s.limits), MemoryBudget: s.budget, Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func upgrade(change ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://localhost:3007/ws", nil)
	r.RemoteAddr = "127.0.0.1:5555"
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", "Upgrade")
	for _, f := range change {
		f(r)
	}
	return r
}

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func host(name string) func(*http.Request) {
	return func(r *http.Request) { r.Host = name }
}

func remote(r *http.Request) { r.RemoteAddr = "203.0.113.9:5555" }

func TestWhoIsRefusedAndHow(t *testing.T) {
	for _, c := range []struct {
		name     string
		cfg      Config
		loopback bool
		count    int
		drain    bool
		request  *http.Request
		status   int // 0: upgraded
		says     string
	}{
		{name: "a plain request", request: httptest.NewRequest(http.MethodGet, "/ws", nil), status: 426, says: "new WebSocket"},
		{name: "while draining", drain: true, request: upgrade(), status: 503, says: "going away"},
		{name: "the one too many", count: 10, request: upgrade(), status: 503, says: "as many"},
		{name: "the last that fits", count: 9, request: upgrade()},
		{name: "development for a remote peer", loopback: true, request: upgrade(remote), status: 403, says: "AUTH_MODE=development"},
		{name: "development for somebody behind a proxy", loopback: true, request: upgrade(with("X-Forwarded-For", "127.0.0.1")), status: 403, says: "AUTH_MODE"},
		{name: "development for somebody behind a proxy that hides the address", loopback: true, request: upgrade(with("Via", "1.1 proxy")), status: 403, says: "AUTH_MODE"},
		{name: "development for somebody behind a proxy that tells the host", loopback: true, request: upgrade(with("X-Forwarded-Host", "a.example")), status: 403, says: "AUTH_MODE"},
		{name: "development for a name that was made to point here", loopback: true, request: upgrade(host("evil.example:3007")), status: 403, says: "AUTH_MODE"},
		{name: "development for another address of this machine", loopback: true, request: upgrade(host("192.0.2.1:3007")), status: 403, says: "AUTH_MODE"},
		{name: "development for loopback", loopback: true, request: upgrade()},
		{name: "development for a loopback address", loopback: true, request: upgrade(host("[::1]:3007"))},
		{name: "development for a name below localhost", loopback: true, request: upgrade(host("Chat.LOCALHOST."))},
		{name: "any name where development is asked for", request: upgrade(host("chat.example"))},
		{name: "a remote peer where development is asked for", request: upgrade(remote)},
		{name: "a foreign page", request: upgrade(with("Origin", "https://evil.example")), status: 403, says: "ALLOWED_ORIGINS"},
		{name: "the own page", request: upgrade(with("Origin", "http://localhost:9007"))},
		{name: "no page at standard", cfg: Config{SecurityLevel: "standard"}, request: upgrade(with("Origin", "http://localhost:9007")), status: 403, says: "ALLOWED_ORIGINS"},
		{name: "plain HTTP at strict", cfg: Config{SecurityLevel: "strict"}, request: upgrade(), status: 403, says: "wss://"},
		{
			name: "a listed page over TLS at strict", cfg: Config{SecurityLevel: "strict", AllowedOrigins: []string{"https://a.example"}},
			request: upgrade(with("Origin", "https://a.example"), func(r *http.Request) { r.TLS = &tls.ConnectionState{} }),
		},
		{
			name: "a proxy at strict that says https", cfg: Config{SecurityLevel: "strict", AllowedOrigins: []string{"https://a.example"}, TrustedProxies: []string{"203.0.113.9"}},
			request: upgrade(remote, with("Origin", "https://a.example"), with("X-Forwarded-Proto", "https")),
		},
		{
			name: "a proxy at strict that says http", cfg: Config{SecurityLevel: "strict", TrustedProxies: []string{"203.0.113.9"}},
			request: upgrade(remote, with("X-Forwarded-For", "1.1.1.1"), with("X-Forwarded-Proto", "http")), status: 403, says: "wss://",
		},
		{
			name: "a proxy's word at strict from elsewhere", cfg: Config{SecurityLevel: "strict", TrustedProxies: []string{"203.0.113.8"}},
			request: upgrade(remote, with("X-Forwarded-Proto", "https")), status: 403, says: "wss://",
		},
		{name: "foreign subprotocols alone", request: upgrade(with("Sec-WebSocket-Protocol", "mqtt")), status: 400, says: "gateway.v1"},
	} {
		s := &stage{count: c.count}
		g := s.gateway(t, c.cfg, c.loopback)
		g.draining.Store(c.drain)
		w := httptest.NewRecorder()
		g.ServeHTTP(w, c.request)
		upgraded := s.got.W != nil
		if upgraded != (c.status == 0) || !upgraded && (w.Code != c.status || !strings.Contains(w.Body.String(), c.says)) {
			t.Errorf("%s: upgraded %v, status %d %q", c.name, upgraded, w.Code, w.Body)
		}
		if !upgraded && w.Header().Get("Connection") != "close" {
			t.Errorf("%s: the HTTP connection may be used again", c.name)
		}
		if w.Code == 503 && w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", c.name)
		}
		if n := g.handshakes.Load(); n != 0 {
			t.Errorf("%s: %d handshakes are left", c.name, n)
		}
		total := int64(0)
		for _, n := range g.Refused() {
			total += n
		}
		if (total == 1) != (c.status != 0) {
			t.Errorf("%s: refusals counted %v", c.name, g.Refused())
		}
	}
}

func TestWhatTheSessionIsToldOfItsClient(t *testing.T) {
	down := errors.New("dial tcp: refused")
	for _, c := range []struct {
		name   string
		level  string
		verify func(context.Context, string, netip.Addr) (auth.Identity, error)
		header string
		user   string
		guest  bool
		fault  wire.Code
	}{
		{name: "a user", header: "Bearer ann", user: "ann"},
		{name: "a guest", guest: true},
		{name: "nobody yet, at standard", level: "standard"},
		{name: "a bad credential", header: "Basic x", fault: wire.Unauthenticated},
		{name: "one that is not accepted", header: "Bearer guest-x", fault: wire.Unauthenticated},
		{
			name: "one that could not be checked", header: "Bearer ann", fault: wire.Unavailable,
			verify: func(context.Context, string, netip.Addr) (auth.Identity, error) { return auth.Identity{}, down },
		},
	} {
		s := &stage{verify: c.verify}
		g := s.gateway(t, Config{SecurityLevel: c.level}, false)
		r := upgrade(remote)
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		g.ServeHTTP(httptest.NewRecorder(), r)
		h := s.hello
		if h.Codec == nil || h.Peer != netip.MustParseAddr("203.0.113.9") {
			t.Errorf("%s: %+v", c.name, h)
		}
		if (h.Fault != nil) != (c.fault != "") || h.Fault != nil && h.Fault.Code != c.fault {
			t.Errorf("%s: fault %v", c.name, h.Fault)
		}
		if h.Fault != nil && strings.Contains(h.Fault.Message, "dial") {
			t.Errorf("%s: internal text in %q", c.name, h.Fault.Message)
		}
		if known := c.user != "" || c.guest; (h.Identity != nil) != known {
			t.Errorf("%s: identity %+v", c.name, h.Identity)
		} else if known && (h.Identity.Guest != c.guest || !c.guest && h.Identity.UserID != c.user) {
			t.Errorf("%s: identity %+v", c.name, h.Identity)
		}
	}
}

// filling is a hub that becomes full just after it was looked at.
type filling struct {
	stage
	full func()
}

func (f *filling) Count() int {
	defer f.full()
	return f.count
}

func TestAHandshakeThatEndsWhileTheHubIsCountedTakesItsPlace(t *testing.T) {
	f := &filling{}
	g := f.gateway(t, Config{}, false)
	g.capacity, g.parts.Hub = 1, f
	g.handshakes.Add(1) // somebody else's
	f.full = func() { f.count = 1; g.handshakes.Add(-1) }
	w := httptest.NewRecorder()
	if g.ServeHTTP(w, upgrade()); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a second connection got %d", w.Code)
	}
}

func TestAFailedUpgradeLeavesNothingCounted(t *testing.T) {
	s := &stage{upgrade: errors.New("bad handshake")}
	g := s.gateway(t, Config{}, false)
	g.ServeHTTP(httptest.NewRecorder(), upgrade())
	if g.handshakes.Load() != 0 {
		t.Error("a handshake is counted for ever")
	}
}

func TestCapacityIsClampedToWhatTheMachineHas(t *testing.T) {
	for _, c := range []struct {
		wished      int
		descriptors uint64
		memory      int64
		want        int
		why         string
	}{
		{1000, 20_000, 1 << 30, 1000, "MAX_CONNECTIONS"},
		{1_000_000, 20_000, 1 << 40, 20_000 - reservedDescriptors, "descriptors"},
		{1_000_000, 1 << 63, 12 << 20, 1024, "memory"},
		{1_000_000, 1 << 63, 0, 1_000_000, "MAX_CONNECTIONS"},
		{10, 100, 1 << 30, 1, "descriptors"},
	} {
		got := CapacityOf(c.wished, c.descriptors, c.memory)
		if got.Connections != c.want || !strings.Contains(got.Reason, c.why) {
			t.Errorf("%+v: got %+v", c, got)
		}
	}
	if n, err := Descriptors(); err != nil || n == 0 {
		t.Errorf("descriptors: %d, %v", n, err)
	}
	if MemoryLimit() <= 0 {
		t.Error("the machine's memory is not known")
	}
}

func TestBadSettingsAreAllNamed(t *testing.T) {
	err := Config{MaxConnections: 0, SecurityLevel: "none", AllowedOrigins: []string{"x"}, AuthDeadline: 0, DrainDelay: -1, DrainWindow: 2 * time.Hour,
		AllowedHosts: []string{"a:1"}, TrustedProxies: []string{"x"}, MemoryBudget: -1}.Validate()
	for _, name := range []string{"MAX_CONNECTIONS", "MAX_HANDSHAKES", "MAX_UNAUTHENTICATED", "ALLOWED_HOSTS", "TRUSTED_PROXIES", "TRUSTED_PROXY_HEADER", "MEMORY_BUDGET_BYTES", "SECURITY_LEVEL", "ALLOWED_ORIGINS", "AUTH_DEADLINE", "DRAIN_DELAY", "DRAIN_WINDOW"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
	if _, err := New(Config{}, 1, Parts{}); err == nil {
		t.Error("a gateway was made of bad settings")
	}
}
