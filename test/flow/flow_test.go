package flow

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/router"
)

func TestAMessageCrossesFromOneClientToAnother(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		ann, bob := r.connect("ann"), r.connect("bob")
		ann.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`)
		ann.expect("room_joined")
		bob.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`)
		if e := bob.expect("room_joined"); e.Data["recovered"] != false {
			t.Errorf("joined with %+v", e)
		}
		if e := ann.expect("member_joined"); e.Data["userId"] != "bob" {
			t.Errorf("presence: %+v", e)
		}
		ann.send(`{"event":"publish","id":"p","data":{"room":"lobby","event":"chat","data":{"text":"hi"}}}`)
		if e := ann.expect("published"); e.ID != "p" || e.Data["offset"] != 1.0 {
			t.Errorf("reply: %+v", e)
		}
		own, copied := ann.expect("chat"), bob.expect("chat")
		if own.Offset != 1 || copied.Offset != 1 || copied.Room != "lobby" || copied.Data["text"] != "hi" || copied.Pos != own.Pos {
			t.Errorf("copies: %+v, %+v", own, copied)
		}
	})
}

func TestAClientResumesWhatItMissed(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		ann, bob := r.connect("ann"), r.connect("bob")
		for _, c := range []*client{ann, bob} {
			c.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`)
			c.expect("room_joined")
		}
		ann.expect("member_joined")
		say := func() {
			ann.send(`{"event":"publish","id":2,"data":{"room":"lobby","event":"chat","data":{}}}`)
			ann.expect("published")
			ann.expect("chat")
		}
		say()
		seen := bob.expect("chat")
		_ = bob.ws.CloseNow()
		synctest.Wait()
		say()
		say()

		bob = r.connect("bob")
		bob.send(`{"event":"join_room","id":1,"data":{"room":"lobby","since":"` + seen.Pos + `"}}`)
		if e := bob.expect("room_joined"); e.Data["recovered"] != true || e.Data["pos"] != seen.Pos {
			t.Errorf("resumed with %+v", e)
		}
		if a, b := bob.expect("chat"), bob.expect("chat"); a.Offset != 2 || b.Offset != 3 {
			t.Errorf("missed: %+v, %+v", a, b)
		}
	})
}

func TestTheUserIsReachedOnAllConnectionsAndNobodyElseIs(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		one, two, other := r.connect("ann"), r.connect("ann"), r.connect("bob")
		if _, err := r.router.SendUser(t.Context(), "ann", router.Outgoing{Event: "order", Data: []byte(`{"n":1}`)}); err != nil {
			t.Fatal(err)
		}
		one.expect("order")
		two.expect("order")
		other.send(`{"event":"join_room","id":1,"data":{"room":"user:ann"}}`)
		if e := other.expect("error"); e.Data["code"] != "forbidden" {
			t.Errorf("another user's room: %+v", e)
		}
		if err := r.router.SendEveryone(t.Context(), router.Outgoing{Event: "news", Data: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*client{one, two, other} {
			c.expect("news")
		}
	})
}

func TestWithoutACredentialOneHasUntilTheDeadline(t *testing.T) {
	inBubble(t, []string{"SECURITY_LEVEL=standard"}, func(t *testing.T, r *rig) {
		late, _ := r.dial("")
		quick, _ := r.dial("")
		quick.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`)
		if e := quick.expect("error"); e.Data["code"] != "unauthenticated" {
			t.Errorf("before authenticating: %+v", e)
		}
		quick.send(`{"event":"authenticate","id":2,"data":{"token":"ann"}}`)
		if e := quick.expect("authenticated"); e.Data["userId"] != "ann" {
			t.Errorf("%+v", e)
		}
		quick.expect("connected")
		quick.expect("room_joined")
		within(t, 11*time.Second, func() {
			if e := late.expect("error"); e.Data["code"] != "unauthenticated" {
				t.Errorf("%+v", e)
			}
			late.expectClose(4001)
		})
	})
}

func TestASilentPeerIsCutAndALivingOneIsNot(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		living, silent := r.connect("ann"), r.connect("bob")
		// A reader answers pings; a client that does not read is silent.
		ended := make(chan websocket.StatusCode, 1)
		go func() {
			_, code := living.next()
			ended <- code
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := r.hub.Count(); n != 1 {
			t.Errorf("%d sessions after an hour", n)
		}
		select {
		case code := <-ended:
			t.Errorf("the living one was closed with %d", code)
		default:
		}
		_ = silent.ws.CloseNow()
		_ = living.ws.CloseNow()
		<-ended
	})
}

func TestAStopTellsClientsToReconnect(t *testing.T) {
	inBubble(t, []string{"DRAIN_DELAY=5s"}, func(t *testing.T, r *rig) {
		ann := r.connect("ann")
		if status, _ := r.get("http://gateway:80/health/ready"); status != 200 {
			t.Errorf("ready: %d", status)
		}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			r.app.RequireStop()
		}()
		time.Sleep(time.Second)
		if status, body := r.get("http://gateway:80/health/ready"); status != 503 || !strings.Contains(body, `"name":"drain","healthy":false`) {
			t.Errorf("ready while draining: %d %s", status, body)
		}
		if status, _ := r.get("http://gateway:80/health/live"); status != 200 {
			t.Errorf("live while draining: %d", status)
		}
		if c, resp := r.dial("bob"); c != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("an upgrade while draining: %+v", resp)
		}
		ann.send(`{"event":"publish","id":1,"data":{"room":"lobby","event":"chat"}}`)
		ann.expect("error") // not a member: publishing still works during the delay
		time.Sleep(3 * time.Second)
		if e := ann.expect("reconnect"); e.Data["reason"] != "drain" {
			t.Errorf("%+v", e)
		}
		ann.expectClose(1012)
		<-stopped
	})
}

func TestOperatorsSeeHealthMetricsAndThePage(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		ann := r.connect("ann")
		ann.send(`{"event":"nonsense","id":1}`)
		ann.expect("error")
		status, body := r.admin("/metrics")
		for _, want := range []string{
			"ws_gateway_connections 1\n", "ws_gateway_sessions 1\n", "ws_gateway_rooms 1\n", "ws_gateway_requests_total 1\n",
			`ws_gateway_errors_total{code="unknown_event"} 1`, `ws_gateway_upgrades_refused_total{reason="origin"} 0`,
			`ws_gateway_build_info{version="v1.2.3"} 1`, "ws_gateway_broker_memory_bytes", "go_goroutines", "ws_gateway_connections_max",
		} {
			if status != 200 || !strings.Contains(body, want) {
				t.Errorf("metrics: %d, no %q", status, want)
			}
		}
		if strings.Contains(body, "ann") {
			t.Error("a metric names a user")
		}
		if status, body = r.admin("/"); status != 200 || !strings.Contains(body, "<title") {
			t.Errorf("page: %d", status)
		}
		if status, _ = r.admin("/debug/pprof/"); status != 403 {
			t.Errorf("profiles without key: %d", status)
		}
		if status, _ = r.admin("/health"); status != 200 {
			t.Errorf("health on the admin port: %d", status)
		}
		if status, _ = r.get("http://gateway:80/metrics"); status != 404 {
			t.Errorf("metrics on the public port: %d", status)
		}
	})
}
