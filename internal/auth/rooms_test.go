package auth

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func (r *rig) rooms() *Rooms {
	rooms := NewRooms(r.Service)
	r.t.Cleanup(rooms.Close)
	return rooms
}

func TestTheServiceDecidesAboutRooms(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   Grant
		code   wire.Code
	}{
		"allowed until an end":    {200, `{"allowed":true,"expiresAt":4000000000}`, Grant{true, time.Unix(4_000_000_000, 0)}, ""},
		"allowed in data":         {200, `{"success":true,"data":{"allowed":true,"exp":4000000000}}`, Grant{true, time.Unix(4_000_000_000, 0)}, ""},
		"refused":                 {200, `{"allowed":false}`, Grant{}, ""},
		"refused by status":       {403, canary, Grant{}, ""},
		"allowed in the past":     {200, `{"allowed":true,"exp":1000000000}`, Grant{false, time.Unix(1_000_000_000, 0)}, ""},
		"the gateway is refused":  {401, canary, Grant{}, wire.Unavailable},
		"no such path":            {404, canary, Grant{}, wire.Unavailable},
		"limited":                 {429, canary, Grant{}, wire.Unavailable},
		"away":                    {503, canary, Grant{}, wire.Unavailable},
		"garbage":                 {200, canary, Grant{}, wire.Unavailable},
		"neither":                 {200, `{}`, Grant{}, wire.Unavailable},
		"a yes that is no bool":   {200, `{"allowed":"true"}`, Grant{}, wire.Unavailable},
		"a yes of another case":   {200, `{"Allowed":true}`, Grant{}, wire.Unavailable},
		"a yes without success":   {200, `{"success":false,"allowed":true}`, Grant{}, wire.Unavailable},
		"an end that is not read": {200, `{"allowed":true,"exp":"later"}`, Grant{}, wire.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r := over(t, answer(c.status, c.body))
			got, err := r.rooms().Authorize(t.Context(), &Identity{UserID: "ann"}, "deal:1", "join", peer())
			r.code(err, c.code)
			if got.Allowed != c.want.Allowed || !got.Until.Equal(c.want.Until) {
				t.Errorf("got %+v", got)
			}
			r.quiet()
		})
	}
}

func TestAQuestionAboutARoomNamesWhoWhereAndWhat(t *testing.T) {
	var asked string
	r := over(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		asked = req.Method + " " + req.URL.Path + " " + string(body) + " " + req.Header.Get("X-Forwarded-For")
		_, _ = io.WriteString(w, `{"allowed":true}`)
	})
	if _, err := r.rooms().Authorize(t.Context(), &Identity{UserID: "ann"}, "deal:1", "join", peer()); err != nil {
		t.Fatal(err)
	}
	if want := `POST /api/v1/auth/authorize {"userId":"ann","room":"deal:1","action":"join"} 203.0.113.7`; asked != want {
		t.Errorf("asked %s", asked)
	}
}

func TestAGrantIsSharedRememberedAndAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		allowed := atomic.Pointer[string]{}
		say := func(s string) { allowed.Store(&s) }
		say(`{"allowed":true,"expiresIn":4}`)
		r := within(t, func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			time.Sleep(time.Second)
			_, _ = io.WriteString(w, *allowed.Load())
		})
		rooms := r.rooms()
		ask := func(user, room string, want bool) Grant {
			t.Helper()
			g, err := rooms.Authorize(t.Context(), &Identity{UserID: user}, room, "join", peer())
			if err != nil || g.Allowed != want {
				t.Fatalf("got %+v, %v", g, err)
			}
			return g
		}
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { ask("ann", "a", true) })
		}
		wg.Wait()
		g := ask("ann", "a", true)
		if left := time.Until(g.Until); asked.Load() != 1 || left != 4*time.Second {
			t.Errorf("%d asked, %v left", asked.Load(), left)
		}
		ask("bob", "a", true)
		ask("ann", "b", true)
		if asked.Load() != 3 {
			t.Errorf("%d asked", asked.Load())
		}
		say(`{"allowed":false}`)
		time.Sleep(time.Until(g.Until))
		ask("ann", "a", false)
		say(`{"allowed":true}`)
		time.Sleep(10 * time.Second)
		if g := ask("ann", "a", true); time.Until(g.Until) != 5*time.Minute {
			t.Errorf("a grant without an end holds for %v", time.Until(g.Until))
		}
	})
}

func TestRoomsThatCannotBeAskedAboutKeepNobodyFromAuthenticating(t *testing.T) {
	r := over(t, func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/authorize") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"user":{"id":"ann"}}`)
	})
	rooms := r.rooms()
	for range 10 {
		_, err := rooms.Authorize(t.Context(), &Identity{UserID: "ann"}, "a", "join", peer())
		r.code(err, wire.Unavailable)
	}
	if rooms.Degraded() == nil || r.Degraded() != nil {
		t.Errorf("rooms %v, tokens %v", rooms.Degraded(), r.Degraded())
	}
	r.is("")
}
