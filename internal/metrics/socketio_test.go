package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/moonx-farm/ws-gateway/internal/socketio"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
)

func TestWhatSocketIOCountsIsTold(t *testing.T) {
	r := New("v1")
	r.SocketIO(func() polling.Stats {
		return polling.Stats{
			Sessions: 1, Polling: 2, Opened: 3, Upgraded: 4, UpgradesFailed: 5, Refused: 6, Polls: 7, Posts: 8, PacketsIn: 9, PacketsOut: 10,
			HeldBytes: 11, SlowCuts: 12, BudgetCuts: 13, HeartbeatTimeouts: 14, ProtocolErrors: 15,
		}
	}, func() socketio.Stats {
		return socketio.Stats{
			Connections: 21, Waiting: 22, Sockets: 23, Connects: 24, Refused: 25, Recovered: 26, Violations: 27,
			Asking: 28, Asked: 29, Answered: 30, StrayAcks: 31,
		}
	})
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for name, value := range map[string]int{
		"engineio_sessions": 1, "engineio_polling_sessions": 2, "engineio_opened_total": 3, "engineio_upgraded_total": 4,
		"engineio_upgrades_failed_total": 5, "engineio_refused_total": 6, "engineio_polls_total": 7, "engineio_posts_total": 8,
		"engineio_packets_received_total": 9, "engineio_packets_sent_total": 10, "engineio_held_bytes": 11,
		"engineio_slow_closes_total": 12, "engineio_budget_closes_total": 13, "engineio_heartbeat_timeouts_total": 14,
		"engineio_protocol_errors_total": 15,
		"socketio_connections":           21, "socketio_waiting": 22, "socketio_sockets": 23, "socketio_connects_total": 24,
		"socketio_refused_total": 25, "socketio_recovered_total": 26, "socketio_violations_total": 27,
		"socketio_asking": 28, "socketio_asked_total": 29, "socketio_answered_total": 30, "socketio_stray_acks_total": 31,
	} {
		if line := fmt.Sprintf("\nws_gateway_%s %d\n", name, value); !strings.Contains(w.Body.String(), line) {
			t.Errorf("no line %q", line)
		}
	}
	problems, err := testutil.GatherAndLint(r.reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
