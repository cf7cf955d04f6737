package traces

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/tracing/tracetest"
)

// has tells whether a span has attributes, given as names and values in turn.
func has(t *testing.T, s tracetest.Span, kind string, attributes ...string) {
	t.Helper()
	if s.Kind != kind {
		t.Errorf("%s is %s, want %s", s.Name, s.Kind, kind)
	}
	for i := 0; i+1 < len(attributes); i += 2 {
		if got := s.Attributes[attributes[i]]; got != attributes[i+1] {
			t.Errorf("%s: %s is %q, want %q", s.Name, attributes[i], got, attributes[i+1])
		}
	}
}

// sent is the trace context that a span gives to others.
func sent(s tracetest.Span) string { return "00-" + s.Trace + "-" + s.ID + "-01" }

func TestTracesFollowAMessageFromTheBackendToTheService(t *testing.T) {
	g := start(t)

	// A connect: its trace is its own, with a link to what the client says.
	c := g.dial("Traceparent", theParent)
	connect := g.span("GET /ws", "")
	has(t, connect, "SERVER", "http.response.status_code", "101", "http.route", "/ws", "http.request.method", "GET")
	if connect.Parent != "" || connect.Trace == theTrace || !slices.Equal(connect.Links, []string{theTrace}) {
		t.Errorf("%+v", connect)
	}
	if connect.Attributes["ws_gateway.connection.id"] == "" {
		t.Error("the connection has no id")
	}
	if r := connect.Resource; r["service.name"] != "ws-gateway" || r["service.instance.id"] != "here" ||
		r["service.version"] != "test" || r["deployment.environment.name"] != "test" {
		t.Error(r)
	}
	asked := g.child("POST", g.child("authenticate", connect))
	has(t, asked, "CLIENT", "url.full", g.around.URL+"/api/v1/auth/verify", "http.response.status_code", "200")
	if got := g.around.got("/api/v1/auth/verify"); !slices.Equal(got, []string{sent(asked)}) {
		t.Errorf("the auth service got %q, want %q", got, sent(asked))
	}

	// A client's publish.
	c.send(1, "join_room", `{"room":"`+room+`"}`)
	c.until("room_joined", 1)
	c.send(2, "publish", `{"room":"`+room+`","event":"said","data":"`+secret+`"}`)
	c.until("published", 2)
	has(t, g.span("publish chat:*", ""), "PRODUCER", "messaging.destination.template", "chat:*", "messaging.system", "ws_gateway",
		"ws_gateway.connection.id", connect.Attributes["ws_gateway.connection.id"])

	// A backend's publish continues the backend's trace.
	if status := g.post("/api/v1/publish", `{"room":"`+room+`","event":"told","data":"`+secret+`"}`, theParent); status != http.StatusOK {
		t.Fatal(status)
	}
	c.until("told", 0)
	request := g.span("POST /api/v1/publish", theTrace)
	has(t, request, "SERVER", "http.route", "/api/v1/publish", "http.response.status_code", "200")
	if request.Parent != theSpan {
		t.Errorf("%+v", request)
	}
	has(t, g.child("publish chat:*", request), "PRODUCER", "messaging.destination.template", "chat:*")

	// A command continues the trace of who wrote it.
	const commands = "00-11111111111111111111111111111111-2222222222222222-01"
	err := g.redis.Client().XAdd(g.ctx, &redis.XAddArgs{Stream: "ws-gateway:stream:{commands}", Values: []string{
		"op", "publish", "user", user, "event", "noticed", "data", `"` + secret + `"`, "traceparent", commands, "tracestate", "vendor=1",
	}}).Err()
	if err != nil {
		t.Fatal(err)
	}
	c.until("noticed", 0)
	command := g.span("process ws-gateway:stream:{commands}", "11111111111111111111111111111111")
	has(t, command, "CONSUMER", "messaging.system", "redis", "ws_gateway.command", "publish", "messaging.operation.type", "process")
	if command.Parent != "2222222222222222" || command.State != "vendor=1" {
		t.Errorf("%+v", command)
	}
	has(t, g.child("publish user:*", command), "PRODUCER")

	// A client's event goes on to a service, and into a stream.
	c.send(3, "order.place", `"`+secret+`"`)
	c.until("order.place", 3)
	call := g.child("POST", g.span("route order.*", ""))
	has(t, call, "CLIENT", "url.full", g.around.URL+"/orders", "http.response.status_code", "200")
	if got := g.around.got("/orders"); !slices.Equal(got, []string{sent(call)}) {
		t.Errorf("the service got %q, want %q", got, sent(call))
	}
	c.send(4, "bid.place", `"`+secret+`"`)
	c.until("bid.place", 4)
	bid := g.child("send bids", g.span("route bid.*", ""))
	has(t, bid, "PRODUCER", "messaging.system", "redis", "messaging.destination.name", "bids")
	entries, err := g.redis.Client().XRange(g.ctx, "bids", "-", "+").Result()
	if err != nil || len(entries) != 1 || entries[0].Values["traceparent"] != sent(bid) {
		t.Errorf("%v %v, want %s", entries, err, sent(bid))
	}

	// Webhooks tell of it all, and the receiver can continue.
	hook := g.spans.Wait(t, "a webhook", func(s tracetest.Span) bool {
		return s.Kind == "CLIENT" && s.Attributes["url.full"] == g.around.URL+"/hook"
	})
	if got := g.around.got("/hook"); hook.Parent != "" || !slices.Contains(got, sent(hook)) {
		t.Errorf("%+v; the receiver got %q", hook, got)
	}

	g.stop()
	for _, canary := range []string{token, user, room, secret, adminKey, "a secret of tests"} {
		if bytes.Contains(g.spans.Raw(), []byte(canary)) {
			t.Errorf("%s is in the spans", canary)
		}
	}
}

func TestSocketIOClientsAreTraced(t *testing.T) {
	g := start(t)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(g.ctx, http.MethodGet, "http://"+g.public+"/socket.io/?EIO=4&transport=polling&token="+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	sid, _, found := bytes.Cut(bytes.TrimPrefix(body, []byte(`0{"sid":"`)), []byte{'"'})
	if err != nil || !found {
		t.Fatalf("%s: %v", body, err)
	}
	has(t, g.span("GET /socket.io/", ""), "SERVER", "http.route", "/socket.io/")
	req, err = http.NewRequestWithContext(g.ctx, http.MethodPost,
		"http://"+g.public+"/socket.io/?EIO=4&transport=polling&sid="+string(sid), bytes.NewReader([]byte("40")))
	if err != nil {
		t.Fatal(err)
	}
	resp, err = (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	connect := g.span("socket.io connect", "")
	has(t, connect, "SERVER", "network.protocol.name", "socket.io")
	has(t, g.child("POST", g.child("authenticate", connect)), "CLIENT")
	g.stop()
	if bytes.Contains(g.spans.Raw(), []byte(token)) {
		t.Error("the token is in the spans")
	}
}

func TestRefusalsAreTold(t *testing.T) {
	g := start(t, "ALLOWED_HOSTS=elsewhere.example")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(g.ctx, http.MethodGet, "http://"+g.public+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	s := g.span("GET /ws", "")
	has(t, s, "SERVER", "http.response.status_code", "421", "ws_gateway.refusal", "host", "error.type", "host")
	if !s.Failed {
		t.Error("a refusal has not failed")
	}
	if status := g.post("/api/v1/publish", `{"room":"nowhere","event":"e"}`, theParent); status != http.StatusForbidden {
		t.Fatal(status)
	}
	s = g.span("POST /api/v1/publish", theTrace)
	has(t, s, "SERVER", "http.response.status_code", "403")
	if s.Failed {
		t.Error("what the backend did wrong is no failure of the gateway")
	}
}

func TestOffNobodyIsToldOfATrace(t *testing.T) {
	g := start(t, "OTEL_SDK_DISABLED=true")
	c := g.dial()
	c.send(1, "order.place", `1`)
	c.until("order.place", 1)
	if status := g.post("/api/v1/publish", `{"user":"`+user+`","event":"told","data":1}`, theParent); status != http.StatusOK {
		t.Fatal(status)
	}
	c.until("told", 0)
	// The fields are taken all the same: who writes commands need not know.
	err := g.redis.Client().XAdd(g.ctx, &redis.XAddArgs{Stream: "ws-gateway:stream:{commands}", Values: []string{
		"op", "publish", "user", user, "event", "noticed", "data", "2", "traceparent", theParent,
	}}).Err()
	if err != nil {
		t.Fatal(err)
	}
	c.until("noticed", 0)
	g.stop()
	if got := append(g.around.got("/orders"), g.around.got("/api/v1/auth/verify")...); !slices.Equal(got, []string{"", ""}) {
		t.Errorf("services got %q", got)
	}
	if n := len(g.spans.Headers()); n != 0 {
		t.Errorf("%d requests to the collector", n)
	}
}
