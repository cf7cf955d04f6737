package abuse

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// ask sends a request and returns its reply.
func (c *client) ask(t testing.TB, event, data string) message {
	t.Helper()
	c.send(t, fmt.Sprintf(`{"event":%q,"id":7,"data":%s}`, event, data))
	for {
		if m := c.read(t); string(m.ID) == "7" {
			return m
		}
	}
}

func join(room int) string { return fmt.Sprintf(`{"room":"flood/%d"}`, room) }

func TestAConnectionJoinsSoManyRooms(t *testing.T) {
	a := start(t, open, "MAX_ROOMS_PER_CONNECTION=100")
	abuse := func() {
		c := a.dial(t, "flooder")
		for room := range 300 {
			m := c.ask(t, "join_room", join(room))
			if room < 99 && m.Event != "room_joined" { // and the user's own
				t.Fatalf("room %d: %s %s", room, m.Event, m.Data)
			}
			if room >= 99 {
				if f := m.failure(t); f.Code != "limit_exceeded" {
					t.Fatalf("room %d: %+v", room, f)
				}
			}
		}
		if n := a.metric(t, "ws_gateway_rooms"); n > 102 { // an honest user's may still be there
			t.Errorf("%v rooms", n)
		}
		c.cut()
		eventually(t, "the rooms go", func() bool { return a.hub.Stats().Rooms == 0 })
	}
	before := a.baseline(t, abuse)
	for range 5 {
		abuse()
	}
	a.settled(t, before)
}

func TestAnInstanceHoldsSoManyRooms(t *testing.T) {
	a := start(t, open, "MAX_ROOMS=50")
	abuse := func() {
		first, second := a.dial(t, "first"), a.dial(t, "second")
		for room := range 50 {
			if m := first.ask(t, "join_room", join(room)); m.Event != "room_joined" {
				t.Fatalf("room %d: %s %s", room, m.Event, m.Data)
			}
		}
		if f := second.ask(t, "join_room", join(50)).failure(t); f.Code != "limit_exceeded" || !f.Retryable {
			t.Errorf("a room too many: %+v", f)
		}
		if m := second.ask(t, "join_room", join(0)); m.Event != "room_joined" {
			t.Errorf("a room that is there: %s %s", m.Event, m.Data)
		}
		a.serves(t) // users' rooms are not counted
		first.ask(t, "leave_room", join(1))
		if m := second.ask(t, "join_room", join(50)); m.Event != "room_joined" {
			t.Errorf("there was room: %s %s", m.Event, m.Data)
		}
		first.cut()
		second.cut()
		eventually(t, "the rooms go", func() bool { return a.hub.Stats().Rooms == 0 })
	}
	before := a.baseline(t, abuse)
	for range 5 {
		abuse()
	}
	a.settled(t, before)
}

func TestJoinsHaveARate(t *testing.T) {
	a := start(t, open, "RATE_LIMITING_ENABLED=true", "JOIN_RATE=1", "JOIN_RATE_PER_USER=1", "RATE_BURST=10s")
	before := a.baseline(t)
	c := a.dial(t, "flooder")
	joined, limited := 0, 0
	for room := range 60 {
		m := c.ask(t, "join_room", join(room))
		if m.Event == "room_joined" {
			joined++
			continue
		}
		f := m.failure(t)
		if f.Code != "rate_limited" || !f.Retryable {
			t.Fatalf("%+v", f)
		}
		limited++
	}
	if joined < 10 || limited == 0 {
		t.Errorf("%d joined, %d limited", joined, limited)
	}
	// Another connection of the user's pays as well.
	d := a.dial(t, "flooder")
	for room := range 20 {
		d.ask(t, "join_room", join(room))
	}
	if n := a.metric(t, `ws_gateway_rate_limited_total{kind="join"}`); n < float64(limited)+1 {
		t.Errorf("counted %v", n)
	}
	c.cut()
	d.cut()
	a.settled(t, before)
}

func TestAFloodOfMessagesEndsItsConnection(t *testing.T) {
	a := start(t, open, "RATE_LIMITING_ENABLED=true", "MESSAGE_RATE=50", "RATE_BURST=1s", "CLOSE_TIMEOUT=200ms")
	abuse := func() {
		p := a.upgraded(t, "Authorization: Bearer flooder")
		go func() { // ends with the connection
			for range 20_000 {
				if _, err := p.Write(frame(fin|opText, []byte(`{"event":"ping","id":1}`))); err != nil {
					return
				}
			}
		}()
		if _, ok := p.until("rate_limited"); !ok {
			t.Error("the connection ended without a warning")
		}
		if code := p.closed(); code != 4009 {
			t.Errorf("closed with %d", code)
		}
		_ = p.Close()
	}
	before := a.baseline(t, abuse)
	for range 5 {
		abuse()
	}
	if n := a.metric(t, "ws_gateway_rate_limit_closes_total"); n != 6 {
		t.Errorf("counted %v", n)
	}
	a.settled(t, before)
}

func TestEventNamesThatClientsMakeUpLeaveNothing(t *testing.T) {
	a := start(t, open)
	flood := func(prefix string, n int) {
		c := a.dial(t, "flooder")
		defer c.cut()
		for i := range n {
			event := fmt.Sprintf("%s-%d-%s", prefix, i, strings.Repeat("x", 90))
			if f := c.ask(t, event, `{}`).failure(t); f.Code != "unknown_event" {
				t.Fatalf("%+v", f)
			}
		}
	}
	before := a.baseline(t, func() { flood("warm", 100) })
	names := a.metrics(t)
	flood("flood", 20_000)
	for name := range a.metrics(t) {
		if _, known := names[name]; !known && !strings.Contains(name, "_bucket{") {
			t.Errorf("a new metric: %s", name)
		}
		if strings.Contains(name, "flood") {
			t.Errorf("a client's word stands in the metrics: %s", name)
		}
	}
	a.settled(t, before)
}

func TestAUserHasSoManyConnections(t *testing.T) {
	a := start(t, open, "MAX_CONNECTIONS_PER_USER=3", "SECURITY_LEVEL=standard", "AUTH_MODE=development")
	abuse := func() {
		var mine []*client
		for range 3 {
			mine = append(mine, a.dial(t, "flooder"))
		}
		for range 50 {
			c, _, err := a.try(t, "flooder")
			if err != nil {
				t.Fatal(err)
			}
			code, last := c.ended(t)
			if f := last.failure(t); code != 4009 || f.Code != "limit_exceeded" {
				t.Errorf("one too many: %d %+v", code, f)
			}
		}
		// In band likewise.
		c, _, err := a.try(t, "")
		if err != nil {
			t.Fatal(err)
		}
		c.send(t, `{"event":"authenticate","id":1,"data":{"token":"flooder"}}`)
		if code, last := c.ended(t); code != 4009 || last.failure(t).Code != "limit_exceeded" {
			t.Errorf("one too many, in band: %d %s", code, last.Data)
		}
		for _, c := range mine {
			c.send(t, `{"event":"ping","id":1}`)
			c.until(t, "pong")
			c.cut()
		}
		eventually(t, "all have gone", func() bool { return a.hub.Count() == 0 })
	}
	before := a.baseline(t, abuse)
	for range 3 {
		abuse()
	}
	if n := a.metric(t, "ws_gateway_limited_users"); n != 0 {
		t.Errorf("%v users are still counted", n)
	}
	a.settled(t, before)
}

func TestAnAddressHasSoManyConnections(t *testing.T) {
	a := start(t, open, "MAX_CONNECTIONS_PER_ADDRESS=5", "TRUSTED_PROXIES=127.0.0.1", "AUTH_MODE=development")
	const flooder, other = "X-Forwarded-For: 6.6.6.6, 203.0.113.9", "X-Forwarded-For: 203.0.113.10"
	abuse := func() {
		var mine []*client
		for i := range 5 {
			mine = append(mine, a.dial(t, fmt.Sprint("user-", i), flooder))
		}
		for range 50 {
			header, body := a.refused(t, http.StatusTooManyRequests, "ann", flooder)
			if header.Get("Retry-After") == "" || !strings.Contains(body, "address") {
				t.Errorf("%v %q", header, body)
			}
		}
		a.dial(t, "bob", other).cut()
		for _, c := range mine {
			c.cut()
		}
		eventually(t, "all have gone", func() bool { return a.hub.Count() == 0 })
	}
	before := a.baseline(t, abuse)
	for range 3 {
		abuse()
	}
	if n := a.metric(t, "ws_gateway_limited_addresses"); n != 0 {
		t.Errorf("%v addresses are still counted", n)
	}
	a.settled(t, before)
}

func TestConnectionsThatAuthenticateNeverAreBounded(t *testing.T) {
	a := start(t, open, "MAX_UNAUTHENTICATED=5", "SECURITY_LEVEL=standard", "AUTH_MODE=development", "AUTH_DEADLINE=1s")
	abuse := func() {
		var idle []*client
		for range 5 {
			c, _, err := a.try(t, "")
			if err != nil {
				t.Fatal(err)
			}
			idle = append(idle, c)
		}
		if header, _ := a.refused(t, http.StatusServiceUnavailable, ""); header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		a.serves(t) // who has a credential
		for _, c := range idle {
			if code, last := c.ended(t); code != 4001 || last.failure(t).Code != "unauthenticated" {
				t.Errorf("after the deadline: %d %s", code, last.Data)
			}
		}
		c, _, err := a.try(t, "")
		if err != nil {
			t.Fatalf("there was room: %v", err)
		}
		_ = c.Close(websocket.StatusNormalClosure, "")
	}
	before := a.baseline(t, abuse)
	abuse()
	eventually(t, "nobody is waited for", func() bool { return a.metric(t, "ws_gateway_unauthenticated") == 0 })
	a.settled(t, before)
}
