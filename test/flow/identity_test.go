package flow

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// service is an auth service. The token "ann.10m" is ann's for ten minutes from
// when it is verified.
type service struct {
	mu    sync.Mutex
	away  bool   // guarded by mu
	grant string // guarded by mu: the answer about rooms
}

func (a *service) goes(away bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away = away
}

func (a *service) grants(answer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.grant = answer
}

func (a *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	away, grant := a.away, a.grant
	a.mu.Unlock()
	if !away && r.URL.Path == "/health" {
		return
	}
	var q struct{ Token string }
	if away || json.NewDecoder(r.Body).Decode(&q) != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/authorize") {
		_, _ = io.WriteString(w, grant)
		return
	}
	user, life, _ := strings.Cut(q.Token, ".")
	d, err := time.ParseDuration(life)
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = fmt.Fprintf(w, `{"user": {"id": %q}, "expiresAt": %d}`, user, time.Now().Add(d).UnixMilli())
}

const decided = `
version: 1
rooms:
  - {match: "deal:*", join: ask, publish: member}
  - {match: "**", join: anyone, publish: member, history: {size: 10}, presence: true}
`

// withService runs f with an application that asks a service.
func withService(t *testing.T, f func(t *testing.T, r *rig, a *service)) {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(decided), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"HEARTBEAT_INTERVAL=24h", "AUTH_SERVICE_URL=http://auth:8081", "POLICY_FILE=" + policy}
	inBubble(t, environ, func(t *testing.T, r *rig) {
		a := &service{}
		l, err := r.net.listen(t.Context(), "tcp", "auth:8081")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: a}
		var serving sync.WaitGroup
		serving.Go(func() { _ = s.Serve(l) })
		defer serving.Wait()
		defer func() { _ = s.Close() }()
		f(t, r, a)
	})
}

// closedBy says that a client is told of its end with a code, by a time and
// not before a second earlier.
func (c *client) closedBy(code websocket.StatusCode, at time.Time) {
	c.t.Helper()
	c.expectClose(code)
	if late := time.Since(at); late < 0 || late > time.Second {
		c.t.Errorf("closed %v after the time", late)
	}
}

// skim takes events up to one, past wishes for another token.
func (c *client) skim(name string) {
	c.t.Helper()
	e, code := c.next()
	for e.Event == "token_expiring" {
		e, code = c.next()
	}
	if code != 0 || e.Event != name {
		c.t.Fatalf("got %+v, close %d; want %s", e, code, name)
	}
}

func TestALiveConnectionEndsWithItsTokenWithinASecond(t *testing.T) {
	withService(t, func(t *testing.T, r *rig, _ *service) {
		end := time.Now().Add(10 * time.Minute)
		ann := r.connect("ann.10m")
		if e := ann.expect("token_expiring"); e.Data["expiresAt"] != float64(end.UnixMilli()) {
			t.Errorf("told %+v", e)
		}
		if early := time.Until(end); early < 59*time.Second || early > time.Minute {
			t.Errorf("told %v ahead", early)
		}
		ann.closedBy(4002, end)
		if _, resp := r.dial("ann"); resp != nil && resp.StatusCode != 101 {
			t.Errorf("a bad token: %+v", resp)
		}
	})
}

func TestARefreshInBandKeepsRoomsPresenceAndOrder(t *testing.T) {
	withService(t, func(t *testing.T, r *rig, _ *service) {
		ann, bob := r.connect("ann.10m"), r.connect("bob.30h")
		for _, c := range []*client{ann, bob} {
			c.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`)
			c.expect("room_joined")
		}
		ann.expect("member_joined")
		ann.expect("token_expiring")
		ann.send(`{"event":"publish","id":1,"data":{"room":"lobby","event":"chat","data":{"n":1}}}`)
		ann.send(`{"event":"authenticate","id":2,"data":{"token":"ann.20m"}}`)
		ann.send(`{"event":"publish","id":3,"data":{"room":"lobby","event":"chat","data":{"n":2}}}`)
		var replies, copies []string
		for range 5 { // copies come behind their replies, whenever
			switch e, _ := ann.next(); e.Event {
			case "chat":
				copies = append(copies, fmt.Sprint(e.Data["n"]))
			default:
				replies = append(replies, fmt.Sprint(e.Event, e.ID))
			}
		}
		if strings.Join(replies, " ") != "published1 authenticated2 published3" || strings.Join(copies, " ") != "1 2" {
			t.Errorf("got %q and %q", replies, copies)
		}
		for offset := range uint64(2) { // and nothing of ann's leaving and coming
			if e := bob.expect("chat"); e.Offset != offset+1 {
				t.Errorf("got %+v", e)
			}
		}
		end := time.Now().Add(20 * time.Minute)
		ann.expect("token_expiring")
		ann.closedBy(4002, end)
		if e := bob.expect("member_left"); e.Data["userId"] != "ann" {
			t.Errorf("got %+v", e)
		}
	})
}

func TestRevocationEndsLiveConnectionsWithinASecond(t *testing.T) {
	withService(t, func(t *testing.T, r *rig, _ *service) {
		ann, one, two := r.connect("ann.10m"), r.connect("bob.10m"), r.connect("bob.20m")
		cut := r.connect("eve.1h")
		if n, err := r.router.RevokeUser("ann", time.Now().Add(time.Hour)); n != 1 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		ann.closedBy(4003, time.Now())
		if n, err := r.router.RevokeToken("bob.10m"); n != 1 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		one.closedBy(4002, time.Now())
		for _, token := range []string{"ann.10m", "ann.1h", "bob.10m"} {
			c, resp := r.dial(token)
			if c == nil {
				t.Fatalf("%q: %+v", token, resp)
			}
			if e := c.expect("error"); e.Data["code"] != "unauthenticated" || e.Data["retryable"] != false {
				t.Errorf("%q: %+v", token, e)
			}
			c.expectClose(4001)
		}
		two.send(`{"event":"ping","id":1}`)
		two.expect("pong")
		for _, s := range r.hub.Connections("eve") {
			if !r.router.Disconnect(s.ID()) {
				t.Error("not there")
			}
		}
		cut.closedBy(4003, time.Now())
		r.connect("bob.30m")
	})
}

func TestNobodyWithAValidSessionIsThrownOutWhileTheServiceIsAway(t *testing.T) {
	withService(t, func(t *testing.T, r *rig, a *service) {
		ann, bob := r.connect("ann.10m"), r.connect("bob.10m")
		idle := r.connect("zoe.10m") // attempts nothing, as it cannot get another token
		end := time.Now().Add(10 * time.Minute)
		a.goes(true)
		idle.expect("token_expiring")
		for _, c := range []*client{ann, bob} {
			c.expect("token_expiring")
			c.send(`{"event":"authenticate","id":1,"data":{"token":"new"}}`)
			if e := c.expect("error"); e.Data["code"] != "unavailable" || e.Data["retryable"] != true {
				t.Errorf("told %+v", e)
			}
		}
		// A new client is not let in, and not told that its token is bad.
		c, _ := r.dial("eve.1h")
		if e := c.expect("error"); e.Data["code"] != "unavailable" || e.Data["retryable"] != true {
			t.Errorf("told %+v", e)
		}
		c.expectClose(websocket.StatusTryAgainLater)

		for _, c := range []*client{ann, bob, idle} { // they outlive their tokens
			if e := c.expect("token_expiring"); e.Data["expiresAt"] != float64(end.Add(5*time.Minute).UnixMilli()) {
				t.Errorf("told %+v", e)
			}
		}
		if late := time.Since(end); late < 0 {
			t.Errorf("%v before the end", -late)
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		for _, c := range []*client{ann, bob, idle} {
			c.send(`{"event":"ping","id":2}`)
			c.skim("pong")
		}
		if n, err := r.router.RevokeUser("bob", time.Time{}); n != 1 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		bob.closedBy(4003, time.Now())

		a.goes(false)
		ann.send(`{"event":"authenticate","id":3,"data":{"token":"ann.20m"}}`)
		ann.skim("authenticated")
		idle.expect("token_expiring")
		if early, code := idle.next(); code != 4002 {
			t.Errorf("who does not refresh when the service is back: %+v, %d", early, code)
		}
		ann.expect("token_expiring")
		// Away for longer than the grace.
		end = time.Now().Add(time.Minute)
		a.goes(true)
		ann.send(`{"event":"authenticate","data":{"token":"ann.40m"}}`)
		for e, code := ann.next(); code != 4002; e, code = ann.next() {
			if e.Event == "token_expiring" {
				ann.send(`{"event":"authenticate","data":{"token":"ann.40m"}}`)
			} else if code != 0 || e.Data["code"] != "unavailable" {
				t.Fatalf("got %+v, close %d", e, code)
			}
		}
		if late := time.Since(end.Add(5 * time.Minute)); late < 0 || late > time.Second {
			t.Errorf("closed %v after the grace", late)
		}
	})
}

func TestAWithdrawnGrantEndsTheMembership(t *testing.T) {
	withService(t, func(t *testing.T, r *rig, a *service) {
		ann := r.connect("ann.10h")
		join := func() { ann.send(`{"event":"join_room","id":1,"data":{"room":"deal:1"}}`) }
		a.grants(`{"allowed": false}`)
		join()
		if e := ann.expect("error"); e.Data["code"] != "forbidden" {
			t.Errorf("told %+v", e)
		}
		time.Sleep(time.Minute) // the answer is remembered for a while
		a.grants(`{"allowed": true, "expiresIn": 60}`)
		join()
		ann.expect("room_joined")
		end := time.Now().Add(time.Minute)
		time.Sleep(10 * time.Second)
		a.goes(true)
		time.Sleep(3 * time.Minute)
		ann.send(`{"event":"publish","data":{"room":"deal:1","event":"chat","data":{}}}`)
		ann.expect("chat")
		a.goes(false)
		time.Sleep(time.Minute)
		a.grants(`{"allowed": false}`)
		if e := ann.expect("room_left"); e.Data["room"] != "deal:1" || e.Data["reason"] != "withdrawn" {
			t.Errorf("told %+v", e)
		}
		if since := time.Since(end); since < 3*time.Minute || since > 6*time.Minute {
			t.Errorf("left %v after the first grant's end", since)
		}
		ann.send(`{"event":"publish","id":2,"data":{"room":"deal:1","event":"chat","data":{}}}`)
		ann.expect("error")
	})
}
