package readme

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// answered is what the page says that a service answers: a status and JSON.
var answered = regexp.MustCompile(`(?m)^200 (\{.*\})$`)

// keys are those of an object that the page shows, or that came.
func keys(t *testing.T, object []byte) []string {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(object, &fields); err != nil {
		t.Fatalf("%v: %s", err, object)
	}
	return slices.Sorted(maps.Keys(fields))
}

// authService answers what the page says, to what the page says.
func authService(t *testing.T) *httptest.Server {
	t.Helper()
	verify, authorize := find(t, "POST /api/v1/auth/verify"), find(t, "POST /api/v1/auth/authorize")
	yes := answered.FindStringSubmatch(find(t, "200 {\"user\":"))[1]
	may := answered.FindStringSubmatch(authorize)[1]
	asked := authorize[strings.Index(authorize, "{") : strings.Index(authorize, "}")+1]
	mux := http.NewServeMux()
	mux.HandleFunc(strings.Join(strings.Fields(verify)[:2], " "), func(w http.ResponseWriter, r *http.Request) {
		if got, want := keys(t, body(t, r)), []string{"token"}; !slices.Equal(got, want) || r.Header.Get("X-Forwarded-For") == "" {
			t.Errorf("asked with %q and %v", got, r.Header)
		}
		_, _ = w.Write([]byte(yes))
	})
	mux.HandleFunc(strings.Join(strings.Fields(authorize)[:2], " "), func(w http.ResponseWriter, r *http.Request) {
		var got, want map[string]any
		if json.Unmarshal(body(t, r), &got) != nil || json.Unmarshal([]byte(asked), &want) != nil || !maps.Equal(got, want) {
			t.Errorf("asked %v, and not as %v", got, want)
		}
		_, _ = w.Write([]byte(may))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestAnAuthServiceAsDescribedIsEnough(t *testing.T) {
	g := serve(t, "AUTH_SERVICE_URL="+authService(t).URL, "POLICY_FILE="+put(t, "policy.yaml", `
version: 1
rooms:
  - {match: "deal:*", join: ask, publish: member}
`))
	c := g.connect("eyJhbGciOi")
	c.send(`{"event":"join_room","id":1,"data":{"room":"deal:7"}}`, "room_joined")
	var list struct{ Count int }
	if g.ask("/api/v1/users/ann/connections", &list); list.Count != 1 {
		t.Errorf("%d connections of ann", list.Count)
	}
}

// hooks keeps what a backend is told, with its signatures.
type hooks struct {
	t *testing.T

	mu   sync.Mutex
	told []json.RawMessage // guarded by mu: events
	last [2]string         // guarded by mu: the newest request's Gateway-Signature and body
}

func (h *hooks) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var batch struct{ Events []json.RawMessage }
	text := body(h.t, r)
	if err := json.Unmarshal(text, &batch); err != nil {
		h.t.Errorf("%v: %s", err, text)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, batch.Events...)
	h.last = [2]string{r.Header.Get("Gateway-Signature"), string(text)}
}

func TestRoutesAndWebhooksCallAsDescribed(t *testing.T) {
	shown := find(t, "POST /events HTTP/1.1")
	shown = shown[strings.Index(shown, "{"):]
	calls := make(chan []byte, 1)
	h := &hooks{t: t}
	mux := http.NewServeMux()
	mux.Handle("POST /hooks", h)
	mux.HandleFunc("POST /events", func(w http.ResponseWriter, r *http.Request) {
		if !regexp.MustCompile(`^t=\d+,v1=[0-9a-f]{64}`).MatchString(r.Header.Get("Gateway-Signature")) {
			t.Errorf("signed %q", r.Header.Get("Gateway-Signature"))
		}
		calls <- body(t, r)
		_, _ = w.Write([]byte(`{"order": 41}`))
	})
	service := httptest.NewServer(mux)
	t.Cleanup(service.Close)
	routes := find(t, "routes:\n  - match: \"order:*\"            #")
	g := serve(t, "SIGNING_SECRETS=0123456789abcdef0123456789abcdef", "WEBHOOK_URL="+service.URL+"/hooks",
		"POLICY_FILE="+put(t, "policy.yaml", "version: 1\n"+strings.Replace(routes, "https://orders.internal/events", service.URL+"/events", 1)))
	c := g.connect("ann")
	got := c.send(`{"event":"order:create","id":7,"data":{"sku":"x"}}`, "order:create")
	if string(got.Data) != `{"order":41}` && string(got.Data) != `{"order": 41}` || got.ID != 7 {
		t.Errorf("the client got %+v", got)
	}
	select {
	case call := <-calls:
		if is, want := keys(t, call), keys(t, []byte(shown)); !slices.Equal(is, want) {
			t.Errorf("the service is sent %q, and the page says %q", is, want)
		}
	case <-time.After(patience):
		t.Fatal("the service is not called")
	}
	_ = c.conn.CloseNow()

	var page struct{ Events []json.RawMessage }
	if err := json.Unmarshal([]byte(find(t, "{\"instance\": \"gw-1\", \"dropped\"")), &page); err != nil {
		t.Fatal(err)
	}
	for _, event := range page.Events {
		name := kind(t, event)
		until(t, "the backend is told of "+name, func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return slices.ContainsFunc(h.told, func(is json.RawMessage) bool {
				return kind(t, is) == name && slices.Equal(keys(t, is), keys(t, event))
			})
		})
	}
}

func kind(t *testing.T, event json.RawMessage) string {
	t.Helper()
	var e struct{ Type string }
	if err := json.Unmarshal(event, &e); err != nil {
		t.Fatal(err)
	}
	return e.Type
}

func TestTheOperatorsCommandsAnswer(t *testing.T) {
	g := serve(t)
	out := shell(t, ".", strings.ReplaceAll(g.ports.Replace(find(t, "curl -H \"Authorization: Bearer $KEY\"")), "curl ", "curl -fsS "), "KEY="+pageKey)
	var report struct{ Operations, Counters, Runtime map[string]any }
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Operations) == 0 || len(report.Runtime) == 0 {
		t.Errorf("%v: %s", err, out)
	}

	var shown, got struct{ Checks []json.RawMessage }
	if err := json.Unmarshal([]byte(find(t, "{\"status\": \"degraded\"")), &shown); err != nil {
		t.Fatal(err)
	}
	if g.ask("/health", &got); len(got.Checks) == 0 {
		t.Fatal("no checks")
	}
	for _, check := range append(got.Checks, shown.Checks...) {
		if is, want := keys(t, check), keys(t, shown.Checks[0]); !slices.Equal(is, want) {
			t.Errorf("a check has %q, and the page says %q", is, want)
		}
	}
}

func TestTheChartIsRenderedAsDescribed(t *testing.T) {
	helm := strings.TrimSpace(shell(t, root, ".ci/tools | tail -n 1")) + "/helm"
	lines := strings.Split(strings.TrimSpace(find(t, "helm install gw")), "\n")
	if len(lines) != 2 || lines[1] != "helm test gw" {
		t.Fatalf("%q", lines)
	}
	out := shell(t, root, strings.Replace(lines[0], "helm install", helm+" template", 1))
	if strings.Count(out, "kind: Deployment") == 0 || !regexp.MustCompile(`helm\.sh/hook"?: "?test`).MatchString(out) {
		t.Error("no deployment, or nothing for helm test")
	}
	out = shell(t, root, fmt.Sprintf("%s template gw helm/ws-gateway -f %s", helm, put(t, "values.yaml", find(t, "replicaCount: 3"))))
	if !strings.Contains(out, "replicas: 3") || !strings.Contains(out, "ws.example.com") {
		t.Error("the values are not what is rendered")
	}
}
