package client

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/test/chaos/link"
)

func TestWhatAGatewayDoesSeldomIsBorne(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	start(t, "fake.mjs", g.arguments(nil)).finish(nil)
}

func TestTheClientKeepsItsPromisesOnOneGateway(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "SEND_QUEUE_BYTES=262144")
	l := newLink(t, g.public)
	start(t, "live.mjs", g.through(l)).finish(faults(l, g))
}

func TestSilenceIsNoticed(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "HEARTBEAT_INTERVAL=2s")
	l := newLink(t, g.public)
	start(t, "silence.mjs", g.through(l)).finish(faults(l, g))
}

func TestTheClientKeepsToTheLimits(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "RATE_LIMITING_ENABLED=true", "MESSAGE_RATE=60", "MESSAGE_RATE_PER_USER=60", "JOIN_RATE=40",
		"JOIN_RATE_PER_USER=40", "RATE_BURST=1s", "SEND_QUEUE_BYTES=262144")
	l := newLink(t, g.public)
	start(t, "limits.mjs", g.through(l)).finish(faults(l, g))
}

// through are the arguments of a script that is told of a link, too.
func (g *gateway) through(l *link.Link) map[string]any {
	return g.arguments(map[string]any{"link": "ws://" + l.Addr() + "/ws"})
}

// faults are what a script may do to a gateway and a link to it.
func faults(l *link.Link, g *gateway) answers {
	done := func(do func()) func() string {
		return func() string {
			do()
			return "done"
		}
	}
	return answers{
		"cut":    done(l.Reset),
		"refuse": done(func() { l.Target(""); l.Reset() }),
		"silent": done(func() { l.Apply(silent) }),
		"heal":   done(func() { l.Target(g.public); l.Apply(link.Shape{}) }),
		"kill":   done(g.kill),
		"drain":  done(g.drain),
		"start":  done(func() { g.start(); g.untilReady() }),
	}
}

// silent is a link on which nothing passes.
var silent = link.Shape{Silent: [2]bool{true, true}}

func TestTokensRunOut(t *testing.T) {
	t.Parallel()
	auth := &authService{ends: map[string]time.Time{}}
	service := httptest.NewServer(auth)
	t.Cleanup(service.Close)
	g := newGateway(t, "AUTH_SERVICE_URL="+service.URL, "AUTH_DEADLINE=5s")
	set := func(to bool) func() string {
		return func() string {
			auth.away.Store(to)
			return "done"
		}
	}
	start(t, "auth.mjs", g.arguments(nil)).finish(answers{"away": set(true), "back": set(false)})
}

// authService is one whose tokens are "user.milliseconds.number", good for so
// long from their first use on. Safe for concurrent use.
type authService struct {
	away atomic.Bool

	mu   sync.Mutex
	ends map[string]time.Time // guarded by mu
}

func (a *authService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.away.Load() { // and its health, too, says so
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var asked struct{ Token string }
	err := json.NewDecoder(r.Body).Decode(&asked)
	parts := strings.Split(asked.Token, ".")
	if err != nil || len(parts) != 3 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"user": map[string]any{"id": parts[0]}, "expiresAt": a.end(asked.Token, parts[1]).UnixMilli(),
	})
}

// end is when a token runs out.
func (a *authService) end(token, life string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.ends[token]; !known {
		milliseconds, _ := strconv.Atoi(life)
		a.ends[token] = time.Now().Add(time.Duration(milliseconds) * time.Millisecond)
	}
	return a.ends[token]
}

// newLink is a link to an instance. It ends with the test.
func newLink(t *testing.T, to string) *link.Link {
	t.Helper()
	l, err := link.Listen(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}
