package gateway

import (
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/limit"
)

// asked is how a gateway answers a request: the status, 0 when it upgrades.
func (s *stage) asked(g *Gateway, r *http.Request) (int, http.Header) {
	s.got.W = nil
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	if s.got.W != nil {
		return 0, nil
	}
	return w.Code, w.Header()
}

func TestHandshakesUnderWayAreBounded(t *testing.T) {
	s := &stage{}
	g := s.gateway(t, Config{MaxHandshakes: 2, MaxUnauthenticated: 1}, false)
	g.handshakes.Add(1)
	if status, _ := s.asked(g, upgrade()); status != 0 {
		t.Errorf("the last that fits got %d", status)
	}
	g.handshakes.Add(1)
	if status, _ := s.asked(g, upgrade()); status != http.StatusServiceUnavailable || g.Refused()["handshakes"] != 1 {
		t.Errorf("one too many got %d, counted %v", status, g.Refused())
	}
	if l := g.Load(); l.Handshakes != 2 {
		t.Errorf("%+v", l)
	}
}

func TestConnectionsWithoutIdentityAreBounded(t *testing.T) {
	bad := with("Authorization", "Basic x")
	for _, c := range []struct {
		name     string
		level    string
		nameless int64
		request  *http.Request
		status   int
	}{
		{"the last that fits", "standard", 0, upgrade(), 0},
		{"one too many", "standard", 1, upgrade(), http.StatusServiceUnavailable},
		{"one too many with a bad credential", "standard", 1, upgrade(bad), http.StatusServiceUnavailable},
		{"one with a good credential", "standard", 1, upgrade(with("Authorization", "Bearer ann")), 0},
		{"a guest", "minimal", 1, upgrade(), 0},
	} {
		s := &stage{pending: 3}
		g := s.gateway(t, Config{SecurityLevel: c.level, MaxHandshakes: 5, MaxUnauthenticated: 4}, false)
		g.nameless.Add(c.nameless)
		if status, _ := s.asked(g, c.request); status != c.status {
			t.Errorf("%s: got %d", c.name, status)
		}
		if n := g.nameless.Load(); n != c.nameless {
			t.Errorf("%s: %d are counted for ever", c.name, n-c.nameless)
		}
	}
}

func TestConnectionsOfAnAddressAreBounded(t *testing.T) {
	s := &stage{limits: limit.Config{MaxPerAddress: 1}}
	g := s.gateway(t, Config{TrustedProxies: []string{"10.0.0.1"}}, false)
	ann := func(r *http.Request) { r.RemoteAddr = "10.0.0.1:80"; r.Header.Set("X-Forwarded-For", "203.0.113.9") }
	bob := func(r *http.Request) { r.RemoteAddr = "10.0.0.1:80"; r.Header.Set("X-Forwarded-For", "203.0.113.10") }
	if status, _ := s.asked(g, upgrade(ann)); status != 0 || s.hello.Peer != netip.MustParseAddr("203.0.113.9") {
		t.Fatalf("the first got %d, as %v", status, s.hello.Peer)
	}
	account := s.hello.Account
	status, header := s.asked(g, upgrade(ann))
	if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("the second got %d %v", status, header)
	}
	if status, _ := s.asked(g, upgrade(bob)); status != 0 {
		t.Errorf("another client of the same proxy got %d", status)
	}
	account.Close()
	s.upgrade = http.ErrNotSupported // an upgrade that fails gives its place back
	s.asked(g, upgrade(ann))
	s.upgrade = nil
	if status, _ := s.asked(g, upgrade(ann)); status != 0 {
		t.Errorf("after the first has gone: %d", status)
	}
}

func TestClientsThatAreRefusedTogetherDoNotComeTogether(t *testing.T) {
	s := &stage{count: 10}
	g := s.gateway(t, Config{}, false)
	seen := map[int]bool{}
	for range 200 {
		_, header := s.asked(g, upgrade())
		after, err := strconv.Atoi(header.Get("Retry-After"))
		if err != nil || after < 5 || after > 15 {
			t.Fatalf("Retry-After: %q", header.Get("Retry-After"))
		}
		seen[after] = true
	}
	if len(seen) < 5 {
		t.Errorf("clients come at %d moments", len(seen))
	}
}

func TestUnderWhichHostsAnUpgradeIsAskedFor(t *testing.T) {
	for host, want := range map[string]bool{
		"app.example": true, "APP.example:3007": true, "app.example.": true, "evil.example": false, "app.example.evil.example": false,
		"a.shop.example": true, "a.b.shop.example": true, "shop.example": false, "xshop.example": false, ".shop.example": false,
		"192.0.2.1:80": true, "192.0.2.2": false, "[2001:db8::1]:80": true, "": false,
	} {
		h, err := newHosts([]string{"App.example", "*.shop.example", "192.0.2.1", "2001:db8::1"})
		if err != nil {
			t.Fatal(err)
		}
		if h.allows(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
	for _, entry := range []string{"", "*", "*.", "https://a.example", "a.example:80", "a*.example", "a.example/", "a b"} {
		if _, err := newHosts([]string{entry}); err == nil {
			t.Errorf("%q was accepted", entry)
		}
	}
	s := &stage{}
	g := s.gateway(t, Config{AllowedHosts: []string{"gateway.example"}}, false)
	if status, _ := s.asked(g, upgrade()); status != http.StatusMisdirectedRequest {
		t.Errorf("an unknown host got %d", status)
	}
	if status, _ := s.asked(g, upgrade(func(r *http.Request) { r.Host = "gateway.example:3007" })); status != 0 {
		t.Errorf("a known host got %d", status)
	}
}

func TestNobodyIsLetInAboveTheMemoryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{budget: 100}
		g := s.gateway(t, Config{}, false)
		use, looks := memoryUse{}, 0
		g.memory.read = func() memoryUse { looks++; return use }
		for _, c := range []struct {
			name       string
			held, live uint64
			status     int
		}{
			{"below it", 90, 80, 0},
			{"garbage above it", 150, 80, 0},
			{"above it", 150, 101, http.StatusServiceUnavailable},
			{"given back, before the next collection has looked", 90, 101, 0},
		} {
			time.Sleep(memoryEvery)
			use = memoryUse{c.held, c.live}
			for range 3 {
				if status, _ := s.asked(g, upgrade()); status != c.status {
					t.Errorf("%s: got %d", c.name, status)
				}
			}
		}
		if looks != 5 {
			t.Errorf("looked %d times at four moments, and once after a collection", looks)
		}
	})
}

func TestWhatTheRuntimeSaysOfMemoryFitsTogether(t *testing.T) {
	use := readMemory()
	if use.Live == 0 || use.Held < use.Live/2 || use.Held > 1<<40 || use.Live > 1<<40 {
		t.Errorf("%+v", use)
	}
}

func TestTheMemoryBudgetFollowsWhatThereIs(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name          string
		machine       int64
		soft, percent uint64
		want          int64
	}{
		{"nothing known", 0, math.MaxInt64, 100, 0},
		{"the machine's memory, of which the heap may double", 10 * gib, math.MaxInt64, 100, 4 * gib},
		{"a heap that may grow fourfold", 10 * gib, math.MaxInt64, 300, 2 * gib},
		{"a heap that is not collected", 11 * gib, math.MaxInt64, math.MaxUint64, 858993400},
		{"a limit of the runtime", 10 * gib, 5 * gib, 300, 5 * gib / 10 * 9},
		{"a limit of the runtime where the memory is not known", 0, 5 * gib, 100, 5 * gib / 10 * 9},
		{"a limit above the memory", 10 * gib, 50 * gib, 100, 4 * gib},
	} {
		if got := budgetOf(c.machine, c.soft, c.percent); max(got-c.want, c.want-got) > 4096 {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if MemoryBudget(7, gib) != 7 || MemoryBudget(0, gib) <= 0 {
		t.Error("the budget is not what was configured, or none at all")
	}
}

func TestSocketsLeaveRoomForConnections(t *testing.T) {
	s := &stage{count: 5}
	g := s.gateway(t, Config{MaxHandshakes: 30, MaxUnauthenticated: 1}, false)
	if !g.TakesSocket(60) || g.TakesSocket(61) {
		t.Error("the bound is not twice the handshakes")
	}
	g = s.gateway(t, Config{MaxHandshakes: 10_000, MaxUnauthenticated: 1}, false)
	if last := int64(10 + reservedDescriptors/2 - 5); !g.TakesSocket(last) || g.TakesSocket(last+1) {
		t.Error("sockets take descriptors that are for others")
	}
}
