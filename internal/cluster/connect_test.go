package cluster

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestWhereAClientIsToldToConnect(t *testing.T) {
	other := func(id string, connections int, url string, state State) peer {
		return peer{Instance{ID: id, Incarnation: id, URL: url, State: state, Connections: connections, Capacity: 1000}, time.Now().Add(time.Hour)}
	}
	const own = "wss://here.example/ws"
	for _, c := range []struct {
		name   string
		load   Load
		url    string // that this instance advertises
		others []peer
		want   directions
	}{
		{"one instance", Load{Capacity: 1}, "", nil, directions{URL: own}},
		{"one that advertises a URL", Load{Capacity: 1}, "wss://a.example", nil, directions{URL: "wss://a.example/ws", Instance: "a"}},
		{"full", Load{Capacity: 1, Connections: 1}, "", nil, directions{}},
		{"draining, but another stands behind the name", Load{Capacity: 1, Draining: true}, "", []peer{other("b", 1, "", Ready)}, directions{URL: own}},
		{"the best of those that advertise", Load{Capacity: 1000, Connections: 500}, "wss://a.example", []peer{
			other("b", 100, "wss://b.example/x", Ready), other("c", 300, "wss://c.example", Ready), other("d", 0, "", Ready),
			other("e", 900, "wss://e.example", Ready), other("f", 0, "wss://f.example", Draining),
		}, directions{"wss://b.example/x/ws", "b", []string{"wss://c.example/ws", "wss://a.example/ws"}}},
		{"those that advertise are full", Load{Capacity: 1000}, "", []peer{other("b", 0, "wss://b.example", Full)}, directions{URL: own}},
		{"everybody is full", Load{Capacity: 1, Full: true}, "", []peer{other("b", 0, "wss://b.example", Full)}, directions{}},
	} {
		r := alone(t, c.load)
		r.url = c.url
		v := &view{peers: map[string]peer{}}
		for _, p := range c.others {
			v.peers[p.Incarnation] = p
		}
		r.view.Store(v)
		pass := func(http.ResponseWriter, *http.Request) bool { return true }
		h := NewConnect(r, NewPlacement(r), pass, func(*http.Request) string { return own })
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/connect", nil))
		if c.want.URL == "" {
			wait, err := strconv.Atoi(w.Header().Get("Retry-After"))
			if w.Code != 503 || err != nil || wait < 5 || wait > 15 {
				t.Errorf("%s: %d, Retry-After %d", c.name, w.Code, wait)
			}
			if _, refused := h.Stats(); refused != 1 {
				t.Errorf("%s: not counted", c.name)
			}
			continue
		}
		var got directions
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %q", c.name, w.Code, w.Body)
		}
		if got.URL != c.want.URL || got.Instance != c.want.Instance || !slices.Equal(got.Alternatives, c.want.Alternatives) {
			t.Errorf("%s: %+v", c.name, got)
		}
		if answered, _ := h.Stats(); answered != 1 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d answered, %v", c.name, answered, w.Header())
		}
	}
}

func TestAPageThatMayNotAskIsToldNothing(t *testing.T) {
	r := alone(t, Load{Capacity: 1})
	no := func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(403); return false }
	w := httptest.NewRecorder()
	NewConnect(r, NewPlacement(r), no, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/connect", nil))
	if w.Code != 403 || w.Body.Len() > 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestAClientThatIsHandedOffIsToldOfAnotherInstance(t *testing.T) {
	r := alone(t, Load{Capacity: 1000})
	r.url = "wss://a.example"
	p := NewPlacement(r)
	if got := p.Elsewhere(); got != "" {
		t.Errorf("alone: %q", got)
	}
	hour := time.Now().Add(time.Hour)
	r.view.Store(&view{peers: map[string]peer{
		"b": {Instance{ID: "b", Incarnation: "b", URL: "wss://b.example", State: Ready, Connections: 10, Capacity: 1000}, hour},
		"c": {Instance{ID: "c", Incarnation: "c", URL: "wss://c.example", State: Ready, Connections: 5, Capacity: 1000, CPU: 1}, hour},
		"d": {Instance{ID: "d", Incarnation: "d", State: Ready, Capacity: 1000}, hour},
	}})
	if got := p.Elsewhere(); got != "wss://c.example/ws" {
		t.Errorf("the one with the fewest connections: %q", got)
	}
}
