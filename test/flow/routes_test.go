package flow

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const routed = `
version: 1
rooms:
  - {match: "**", join: anyone, publish: member, history: {size: 10}}
routes:
  - {match: "order:*", http: {url: "http://backend:8080/orders"}}
  - {match: vote, room: votes, send: authenticated}
`

// backend is a service of an operator, in the application's network.
type backend struct {
	mu   sync.Mutex
	got  map[string][]string // guarded by mu: bodies by path
	hang bool                // guarded by mu
}

// serve runs it until stop is called.
func (r *rig) serve() (b *backend, stop func()) {
	b = &backend{got: map[string][]string{}}
	l, err := r.net.listen(r.t.Context(), "tcp", "backend:8080")
	if err != nil {
		r.t.Fatal(err)
	}
	s := &http.Server{Handler: b}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	return b, func() {
		_ = s.Close()
		serving.Wait()
	}
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	b.mu.Lock()
	hang := b.hang
	b.got[r.URL.Path] = append(b.got[r.URL.Path], r.Header.Get("Gateway-Signature")+" "+string(body))
	b.mu.Unlock()
	switch {
	case hang && r.URL.Path == "/orders":
		<-r.Context().Done()
	case r.URL.Path == "/orders" && strings.Contains(string(body), `"n":0`):
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"code":"nothing","message":"Order something."}`)
	case r.URL.Path == "/orders":
		_, _ = io.WriteString(w, `{"order":7}`)
	}
}

func (b *backend) took(path string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got[path]
}

func (b *backend) hangs() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hang = true
}

// policyFile writes a policy.
func policyFile(t *testing.T, doc string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	return "POLICY_FILE=" + path
}

func TestEventsGoWhereThePolicySays(t *testing.T) {
	inBubble(t, []string{policyFile(t, routed), "SIGNING_SECRETS=a secret of tests"}, func(t *testing.T, r *rig) {
		b, stop := r.serve()
		defer stop()
		ann, bob := r.connect("ann"), r.connect("bob")
		ann.send(`{"event":"order:create","id":1,"data":{"n":1}}`)
		if e := ann.expect("order:create"); e.ID != 1.0 || e.Data["order"] != 7.0 {
			t.Errorf("reply: %+v", e)
		}
		if got := b.took("/orders"); len(got) != 1 || !strings.HasPrefix(got[0], "t=") || !strings.Contains(got[0], `"user":"ann"`) {
			t.Errorf("sent %q", got)
		}
		ann.send(`{"event":"order:create","id":2,"data":{"n":0}}`)
		if e := ann.expect("error"); e.ID != 2.0 || e.Data["code"] != "invalid_message" || e.Data["reason"] != "nothing" || e.Data["message"] != "Order something." {
			t.Errorf("error: %+v", e)
		}
		bob.send(`{"event":"join_room","id":1,"data":{"room":"votes"}}`)
		bob.expect("room_joined")
		ann.send(`{"event":"vote","id":3,"data":{"for":"x"}}`)
		ann.expect("published")
		if e := bob.expect("vote"); e.Room != "votes" || e.Offset != 1 || e.Data["for"] != "x" {
			t.Errorf("publication: %+v", e)
		}
		ann.send(`{"event":"reconnect","id":4,"data":{}}`)
		if e := ann.expect("error"); e.Data["code"] != "forbidden" {
			t.Errorf("a reserved event: %+v", e)
		}
		ann.send(`{"event":"dance","id":5}`)
		if e := ann.expect("error"); e.Data["code"] != "unknown_event" {
			t.Errorf("an event without a route: %+v", e)
		}
		_, body := r.admin("/metrics")
		for _, want := range []string{`upstream_calls_total{outcome="answered"} 1`, `upstream_calls_total{outcome="refused"} 1`} {
			if !strings.Contains(body, want) {
				t.Errorf("metrics: no %q", want)
			}
		}
	})
}

func TestABackendThatIsAwayDegradesAndBlocksNoStop(t *testing.T) {
	inBubble(t, []string{policyFile(t, routed), "DRAIN_WINDOW=1s"}, func(t *testing.T, r *rig) {
		ann := r.connect("ann")
		for i := range 6 { // nobody listens
			ann.send(fmt.Sprintf(`{"event":"order:create","id":%d}`, i))
			if e := ann.expect("error"); e.Data["code"] != "unavailable" || e.Data["retryable"] != true {
				t.Errorf("%+v", e)
			}
		}
		if status, body := r.get("http://gateway:80/health"); status != 200 || !strings.Contains(body, "degraded") || strings.Contains(body, "backend") {
			t.Errorf("health: %d %s", status, body)
		}
		b, stop := r.serve()
		defer stop()
		time.Sleep(6 * time.Second) // the breaker tries again
		b.hangs()
		ann.send(`{"event":"order:create","id":10}`)
		synctest.Wait()
		within(t, 20*time.Second, func() {
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				r.app.RequireStop()
			}()
			ann.expect("reconnect")
			ann.expectClose(1012)
			<-stopped
		})
	})
}

func TestAWebhookIsToldOfConnectionsAndRooms(t *testing.T) {
	environ := []string{"WEBHOOK_URL=http://backend:8080/hooks", "SIGNING_SECRETS=a secret of tests", "INSTANCE_ID=here", "DRAIN_WINDOW=1s"}
	inBubble(t, environ, func(t *testing.T, r *rig) {
		b, stop := r.serve()
		defer stop()
		ann := r.connect("ann")
		ann.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`)
		ann.expect("room_joined")
		synctest.Wait()
		_ = ann.ws.CloseNow()
		synctest.Wait()
		bob := r.connect("bob")
		stopped := make(chan struct{})
		go func() { // what the drain ends is told before the process does
			defer close(stopped)
			r.app.RequireStop()
		}()
		bob.expect("reconnect")
		bob.expectClose(1012)
		<-stopped
		var got []string
		for _, request := range b.took("/hooks") {
			_, body, _ := strings.Cut(request, " ")
			var m struct {
				Events []struct{ Type, User, Room string }
			}
			if err := json.Unmarshal([]byte(body), &m); err != nil {
				t.Fatal(err)
			}
			for _, e := range m.Events {
				got = append(got, e.Type+" "+e.User+e.Room)
			}
		}
		want := []string{
			"connect ann", "room_occupied user:ann", "room_occupied lobby", "room_vacated user:ann", "room_vacated lobby", "disconnect ann",
			"connect bob", "room_occupied user:bob", "room_vacated user:bob", "disconnect bob",
		}
		if !slices.Equal(got, want) {
			t.Errorf("told %q\nwant %q", got, want)
		}
	})
}
