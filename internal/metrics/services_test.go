package metrics

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/reload"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// services is a registry of what watches the gateway, with one join of 3 ms and
// two of a second.
func services() *Registry {
	m := monitor.New()
	for _, d := range []time.Duration{3 * time.Millisecond, time.Second, time.Second} {
		span := m.Begin(monitor.Join)
		time.Sleep(d)
		span.End()
	}
	m.Begin(monitor.Join) // has not ended
	r := New("v1.2.3")
	r.Monitor(m)
	r.Plan(func() ws.Stats { return ws.Stats{Open: 3, Accepted: 4, MessagesIn: 5, FramesOut: 6} }, func() router.Stats {
		return router.Stats{
			Errors: map[wire.Code]int64{wire.Forbidden: 7},
			Closed: map[wire.CloseCode]int64{wire.CloseTooSlow: 8, wire.CloseGoingAway: 9, 0: 10},
		}
	})
	r.Reloads(func() []reload.Stat {
		return []reload.Stat{{Name: "policy", Loaded: 11, Failed: 12, Failing: true}, {Name: "keys", Loaded: 13}}
	})
	r.Health(health.New([]health.Check{
		{Name: "drain", Ready: func(context.Context) error { return health.Reason("draining") }},
		{Name: "auth", Degrades: true, Ready: func(context.Context) error { return nil }},
	}, zap.NewNop()))
	return r
}

func TestServicesAreShownUnderTheirNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		services().Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for _, want := range []string{
			"websocket_connections_active 3", "websocket_connections_total 4", "websocket_messages_received_total 5",
			"websocket_messages_sent_total 6", `websocket_errors_total{code="forbidden"} 7`, `websocket_errors_total{code="internal"} 0`,
			`websocket_disconnections_total{reason="too_slow"} 8`, `websocket_disconnections_total{reason="going_away"} 9`,
			`websocket_disconnections_total{reason="other"} 10`,
			`ws_gateway_operations_total{operation="join"} 4`, `ws_gateway_operations_total{operation="upstream"} 0`,
			`ws_gateway_operation_duration_seconds_count{operation="join"} 3`,
			`ws_gateway_operation_duration_seconds_sum{operation="join"} 2.003`,
			`ws_gateway_operation_duration_seconds_bucket{operation="join",le="0.00390625"} 1`,
			`ws_gateway_operation_duration_seconds_bucket{operation="join",le="0.0009765625"} 0`,
			`ws_gateway_operation_duration_seconds_bucket{operation="join",le="1"} 3`,
			`ws_gateway_operation_duration_seconds_bucket{operation="join",le="+Inf"} 3`,
			`ws_gateway_reloads_total{what="policy"} 11`, `ws_gateway_reloads_failed_total{what="policy"} 12`,
			`ws_gateway_reload_stale{what="policy"} 1`, `ws_gateway_reloads_total{what="keys"} 13`, `ws_gateway_reload_stale{what="keys"} 0`,
			"ws_gateway_ready 0", `ws_gateway_healthy{check="drain"} 0`, `ws_gateway_healthy{check="auth"} 1`,
		} {
			if !strings.Contains(w.Body.String(), "\n"+want+"\n") {
				t.Errorf("no line %q", want)
			}
		}
	})
}

func TestDurationsAreNativeHistograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		families, err := services().reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() != "ws_gateway_operation_duration_seconds" {
				continue
			}
			for _, metric := range f.GetMetric() {
				h := metric.GetHistogram()
				if h.GetSchema() != monitor.Schema || len(h.GetBucket()) == 0 {
					t.Errorf("schema %d, %d classic buckets", h.GetSchema(), len(h.GetBucket()))
				}
				if metric.GetLabel()[0].GetValue() != "join" {
					continue
				}
				if h.GetSampleCount() != 3 || len(h.GetPositiveSpan()) != 2 || len(h.GetPositiveDelta()) != 2 || h.GetPositiveSpan()[0].GetOffset() != -67 {
					t.Errorf("%v", h)
				}
			}
			return
		}
		t.Error("no histogram")
	})
}

func TestNamesOfServicesFollowTheConventions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		problems, err := testutil.GatherAndLint(services().reg)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	})
}
