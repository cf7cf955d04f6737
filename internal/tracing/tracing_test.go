package tracing

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/tracing/tracetest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	parentTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentSpan  = "00f067aa0ba902b7"
	parent      = "00-" + parentTrace + "-" + parentSpan + "-01"
)

// begin makes a tracer that sends to a collector; end sends what there is.
func begin(t *testing.T, c *tracetest.Collector, set func(*Config)) (tr *Tracer, logs *observer.ObservedLogs, end func()) {
	t.Helper()
	cfg := on()
	cfg.Endpoint = c.URL
	if set != nil {
		set(&cfg)
	}
	core, logs := observer.New(zap.DebugLevel)
	tr, err := New(cfg, Process{"here", "1.2.3"}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	end = func() {
		if err := tr.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(end) // a second time changes nothing
	return tr, logs, end
}

// one ends a tracer and returns its only span.
func one(t *testing.T, c *tracetest.Collector, end func()) tracetest.Span {
	t.Helper()
	end()
	all := c.Spans()
	if len(all) != 1 {
		t.Fatalf("%d spans: %+v", len(all), all)
	}
	return all[0]
}

func TestOffNothingIsMadeAndNothingAllocated(t *testing.T) {
	off, err := New(Config{Exporter: "none"}, Process{}, zap.NewNop())
	if err != nil || off != nil || off.On() {
		t.Fatal(off, err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Traceparent", parent)
	ctx := t.Context()
	failed := errors.New("failed")
	n := testing.AllocsPerRun(100, func() {
		_, connect := off.Connect(r, "/ws")
		connect.Refuse("full", 503)
		connect.Connection("c")
		connect.End(nil)
		_, request := off.Request(ctx, r, "/api/v1/publish")
		request.EndRequest(200)
		publish := off.Publish(ctx, "chat:*", "c", 1)
		publish.End(failed)
		_, route := off.Route(ctx, "order.*", "c")
		route.End(nil)
		call := off.Call(r)
		call.EndCall(200, nil)
		_, add := off.Add(ctx, "orders")
		_ = add.Context()
		add.End(nil)
		_, command := off.Command(ctx, Context{}, "s", "1-0", "publish")
		command.End(nil)
		_, verify := off.Authenticate(ctx)
		verify.Fail(failed)
		verify.End(nil)
		_, packet := off.ConnectPacket(ctx, "c")
		packet.End(nil)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := off.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestASpanSaysWhoseItIs(t *testing.T) {
	for _, compression := range []string{"none", "gzip"} {
		t.Run(compression, func(t *testing.T) {
			c := tracetest.New(t)
			tr, _, end := begin(t, c, func(cfg *Config) {
				cfg.Compression, cfg.Headers = compression, "authorization=Bearer%20hunter2, x-tenant = a"
				cfg.ServiceName, cfg.ResourceAttributes = "sockets", "deployment.environment.name=test%20bed,service.name=other"
			})
			tr.Publish(t.Context(), "chat:*", "c-1", 12).End(nil)
			s := one(t, c, end)
			for name, want := range map[string]string{
				"service.name": "sockets", "service.version": "1.2.3", "service.instance.id": "here",
				"deployment.environment.name": "test bed", "telemetry.sdk.language": "go",
			} {
				if s.Resource[name] != want {
					t.Errorf("%s is %q, want %q", name, s.Resource[name], want)
				}
			}
			if h := c.Headers()[0]; h.Get("Authorization") != "Bearer hunter2" || h.Get("X-Tenant") != "a" {
				t.Error(h)
			}
		})
	}
}

func TestAPublishIsNamedByItsPattern(t *testing.T) {
	c := tracetest.New(t)
	tr, _, end := begin(t, c, nil)
	tr.Publish(t.Context(), "chat:*", "c-1", 12).End(wire.NewError(wire.Unavailable, "hunter2"))
	s := one(t, c, end)
	if s.Name != "publish chat:*" || s.Kind != "PRODUCER" || !s.Failed || s.Parent != "" {
		t.Errorf("%+v", s)
	}
	for name, want := range map[string]string{
		"messaging.system": "ws_gateway", "messaging.operation.name": "publish", "messaging.operation.type": "send",
		"messaging.destination.template": "chat:*", "messaging.message.body.size": "12",
		"ws_gateway.connection.id": "c-1", "error.type": "unavailable",
	} {
		if s.Attributes[name] != want {
			t.Errorf("%s is %q, want %q", name, s.Attributes[name], want)
		}
	}
	if strings.Contains(string(c.Raw()), "hunter2") {
		t.Error("the text of an error is sent")
	}
}

func TestARequestContinuesItsSendersTrace(t *testing.T) {
	c := tracetest.New(t)
	tr, _, end := begin(t, c, nil)
	r := httptest.NewRequest(http.MethodPost, "/api/v1/users/alice/disconnect?x=1", nil)
	r.Header.Set("Traceparent", parent)
	r.Header.Set("Tracestate", "vendor=1")
	ctx, span := tr.Request(t.Context(), r, "/api/v1/users/{user}/disconnect")
	out := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://u:hunter2@service:8080/hook?key=hunter2", nil)
	call := tr.Call(out)
	call.EndCall(503, nil)
	span.EndRequest(503)
	end()
	all := c.Spans()
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	inner, outer := all[0], all[1]
	if outer.Trace != parentTrace || outer.Parent != parentSpan || outer.State != "vendor=1" || outer.Kind != "SERVER" ||
		outer.Name != "POST /api/v1/users/{user}/disconnect" || !outer.Failed {
		t.Errorf("%+v", outer)
	}
	if inner.Trace != parentTrace || inner.Parent != outer.ID || inner.Kind != "CLIENT" || inner.Name != "POST" || !inner.Failed ||
		inner.Attributes["url.full"] != "http://service:8080/hook" || inner.Attributes["server.port"] != "8080" ||
		inner.Attributes["http.response.status_code"] != "503" {
		t.Errorf("%+v", inner)
	}
	if got, want := out.Header.Get("Traceparent"), "00-"+parentTrace+"-"+inner.ID+"-01"; got != want {
		t.Errorf("the service gets %s, want %s", got, want)
	}
	if out.Header.Get("Tracestate") != "vendor=1" {
		t.Error(out.Header)
	}
	for _, secret := range []string{"hunter2", "alice"} {
		if strings.Contains(string(c.Raw()), secret) {
			t.Errorf("%s is sent", secret)
		}
	}
}

func TestWhatOnlyLooksMakesNoSpan(t *testing.T) {
	c := tracetest.New(t)
	tr, _, end := begin(t, c, nil)
	_, span := tr.Request(t.Context(), httptest.NewRequest(http.MethodGet, "/api/v1/rooms", nil), "/api/v1/rooms")
	span.EndRequest(200)
	end()
	if all := c.Spans(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestAClientsContextIsLinkedAndNotContinued(t *testing.T) {
	c := tracetest.New(t)
	tr, _, end := begin(t, c, nil)
	r := httptest.NewRequest(http.MethodGet, "/ws?token=hunter2", nil)
	r.Header.Set("Traceparent", parent)
	r, span := tr.Connect(r, "/ws")
	Current(r.Context()).Refuse("full", 503)
	span.End(nil)
	s := one(t, c, end)
	if s.Trace == parentTrace || s.Parent != "" || len(s.Links) != 1 || s.Links[0] != parentTrace || s.Name != "GET /ws" ||
		!s.Failed || s.Attributes["ws_gateway.refusal"] != "full" || s.Attributes["http.response.status_code"] != "503" {
		t.Errorf("%+v", s)
	}
	if strings.Contains(string(c.Raw()), "hunter2") {
		t.Error("a token is sent")
	}
}

func TestAContextThatIsNotValidBeginsATrace(t *testing.T) {
	for name, from := range map[string]Context{
		"none":         {},
		"garbage":      {Parent: "garbage"},
		"zeros":        {Parent: "00-00000000000000000000000000000000-0000000000000000-01"},
		"too long":     {Parent: parent + strings.Repeat("-0", 100)},
		"a state only": {State: "vendor=1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := tracetest.New(t)
			tr, _, end := begin(t, c, nil)
			_, span := tr.Command(t.Context(), from, "gateway:stream", "1-0", "publish")
			span.End(nil)
			if s := one(t, c, end); s.Parent != "" || s.Kind != "CONSUMER" || s.Attributes["messaging.message.id"] != "1-0" {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestAStateThatIsTooLongIsLeftOut(t *testing.T) {
	c := tracetest.New(t)
	tr, _, end := begin(t, c, nil)
	_, span := tr.Command(t.Context(), Context{parent, "vendor=" + strings.Repeat("1", 2000)}, "s", "1-0", "publish")
	span.End(nil)
	if s := one(t, c, end); s.Trace != parentTrace || s.State != "" {
		t.Errorf("%+v", s)
	}
}

func TestTheSendersDecisionHoldsAndTheSamplersElse(t *testing.T) {
	c := tracetest.New(t)
	tr, _, end := begin(t, c, func(cfg *Config) { cfg.Sampler = "parentbased_always_off" })
	tr.Publish(t.Context(), "chat:*", "", 1).End(nil)
	_, unsampled := tr.Command(t.Context(), Context{Parent: strings.TrimSuffix(parent, "01") + "00"}, "s", "1-0", "publish")
	if got := unsampled.Context().Parent; !strings.HasPrefix(got, "00-"+parentTrace+"-") || !strings.HasSuffix(got, "-00") {
		t.Errorf("a service gets %q", got)
	}
	unsampled.End(nil)
	_, sampled := tr.Command(t.Context(), Context{Parent: parent}, "s", "2-0", "publish")
	sampled.End(nil)
	if s := one(t, c, end); s.Trace != parentTrace || s.Attributes["messaging.message.id"] != "2-0" {
		t.Errorf("%+v", s)
	}
}

func TestACallThatGoesOnKeepsTheSpanOfWhoAsked(t *testing.T) {
	c := tracetest.New(t)
	tr, _, end := begin(t, c, nil)
	ctx, span := tr.Authenticate(t.Context())
	_, add := tr.Add(Carry(context.Background(), ctx), "orders")
	add.End(nil)
	span.End(nil)
	end()
	all := c.Spans()
	if len(all) != 2 || all[0].Parent != all[1].ID || all[1].Name != "authenticate" || all[0].Name != "send orders" {
		t.Errorf("%+v", all)
	}
	if ctx := context.Background(); Carry(ctx, ctx) != ctx {
		t.Error("there is no span, and it is carried")
	}
}

func TestACollectorThatIsBusyIsAskedAgain(t *testing.T) {
	c := tracetest.New(t)
	c.Answer(http.StatusServiceUnavailable)
	tr, logs, end := begin(t, c, nil)
	tr.Publish(t.Context(), "chat:*", "", 1).End(nil)
	if s := one(t, c, end); s.Name != "publish chat:*" {
		t.Errorf("%+v", s)
	}
	if logs.Len() != 0 {
		t.Error(logs.All())
	}
}

func TestSpansThatAreNotTakenAreSaidInTheLog(t *testing.T) {
	c := tracetest.New(t)
	c.Answer(http.StatusUnauthorized)
	tr, logs, end := begin(t, c, func(cfg *Config) { cfg.Headers = "authorization=hunter2" })
	tr.Publish(t.Context(), "chat:*", "", 1).End(nil)
	end()
	if len(c.Spans()) != 0 || logs.Len() != 1 {
		t.Fatal(c.Spans(), logs.All())
	}
	said := logs.All()[0].ContextMap()
	if said["error"] != "traces export: the collector answers with status 401" || said["spans"] != int64(1) {
		t.Error(said)
	}
}

func TestTheEndDoesNotWaitForACollectorThatIsAway(t *testing.T) {
	hangs := make(chan struct{})
	reached := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached <- struct{}{}
		select {
		case <-hangs:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hangs) })
	cfg := on()
	cfg.Endpoint, cfg.DelayMS = server.URL, 1
	core, logs := observer.New(zap.DebugLevel)
	tr, err := New(cfg, Process{}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	tr.Publish(t.Context(), "chat:*", "", 1).End(nil)
	<-reached
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if logs.FilterMessage("traces: spans were dropped").Len() != 1 {
		t.Error(logs.All())
	}
}
