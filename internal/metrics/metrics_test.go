package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/moonx-farm/ws-gateway/internal/bridge"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func full() *Registry {
	r := New("v1.2.3")
	r.Transport(func() ws.Stats { return ws.Stats{Open: 3, Refused: 4, MessagesIn: 5, ClosedAbnormally: 7} })
	r.Hub(func() hub.Stats { return hub.Stats{Sessions: 3, Recovered: 2, RecoveryRefused: 1, JoinRetry: 9} })
	r.Router(func() router.Stats {
		return router.Stats{
			Requests: 8, Published: 4, Errors: map[wire.Code]int64{wire.Conflict: 6},
			Expired: 31, Graced: 32, Revoked: 33, Revocations: 34, Grants: 35, Asked: 36, Withdrawn: 37,
		}
	})
	r.Broker(func() membroker.Stats { return membroker.Stats{Rooms: 2, Keys: 11, MemoryBytes: 99, Gaps: 1} })
	r.Upstreams(func() bridge.CallStats {
		return bridge.CallStats{Calls: []int64{20, 0, 0, 21, 0, 0, 0, 0}, Retries: 22, Running: 23}
	})
	r.Webhooks(func() bridge.WebhookStats {
		return bridge.WebhookStats{Queued: 24, Delivered: 25, Dropped: 26, Retries: 27}
	})
	r.API(func() httpapi.Stats {
		return httpapi.Stats{Requests: 41, Published: 42, Problems: map[wire.Code]int64{wire.Conflict: 43, "not_found": 44}}
	})
	r.Admission(10, func() map[string]int64 { return map[string]int64{"full": 1, "origin": 2} })
	return r
}

func TestEveryValueStandsUnderItsName(t *testing.T) {
	w := httptest.NewRecorder()
	full().Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		"ws_gateway_connections 3", "ws_gateway_upgrades_failed_total 4", `ws_gateway_frames_total{kind="message_in"} 5`,
		`ws_gateway_connections_closed_total{by="abnormally"} 7`, "ws_gateway_sessions 3",
		`ws_gateway_resumes_total{outcome="recovered"} 2`, `ws_gateway_resumes_total{outcome="refused"} 1`,
		"ws_gateway_join_rereads_total 9", "ws_gateway_requests_total 8", "ws_gateway_published_total 4",
		`ws_gateway_errors_total{code="conflict"} 6`, `ws_gateway_errors_total{code="internal"} 0`,
		"ws_gateway_broker_rooms 2", "ws_gateway_broker_idempotency_keys 11", "ws_gateway_broker_memory_bytes 99",
		"ws_gateway_broker_epochs_ended_total 1", "ws_gateway_connections_max 10",
		`ws_gateway_upgrades_refused_total{reason="full"} 1`, `ws_gateway_upgrades_refused_total{reason="origin"} 2`,
		`ws_gateway_upstream_calls_total{outcome="answered"} 20`, `ws_gateway_upstream_calls_total{outcome="timeout"} 21`,
		"ws_gateway_upstream_retries_total 22", "ws_gateway_upstream_calls_running 23", "ws_gateway_webhook_events_queued 24",
		`ws_gateway_webhook_events_total{outcome="delivered"} 25`, `ws_gateway_webhook_events_total{outcome="dropped"} 26`,
		"ws_gateway_webhook_retries_total 27", "ws_gateway_tokens_expired_total 31", "ws_gateway_tokens_outlived_total 32",
		"ws_gateway_revoked_connections_total 33", "ws_gateway_revocations 34", "ws_gateway_grants 35",
		"ws_gateway_grants_asked_total 36", "ws_gateway_grants_withdrawn_total 37",
		"ws_gateway_api_requests_total 41", "ws_gateway_api_published_total 42",
		`ws_gateway_api_problems_total{code="conflict"} 43`, `ws_gateway_api_problems_total{code="not_found"} 44`,
		`ws_gateway_build_info{version="v1.2.3"} 1`, "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(w.Body.String(), "\n"+want) {
			t.Errorf("no line %q", want)
		}
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(full().reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestRegistriesAreApart(t *testing.T) {
	full()
	full() // a global registry would panic
}
