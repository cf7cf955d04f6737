package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/bridge"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Transport registers the metrics of the WebSocket transport.
func (r *Registry) Transport(stats func() ws.Stats) {
	c := &Collector{}
	c.gauge("connections", "Open WebSocket connections.")
	c.counter("connections_accepted_total", "Upgrades that succeeded.")
	c.counter("upgrades_failed_total", "Upgrades that were admitted and failed.")
	c.counters("frames_total", "WebSocket frames and messages by direction and kind.", "kind", "message_in", "control_in", "frame_out")
	c.counters("bytes_total", "Bytes on WebSocket connections, framing included.", "direction", "in", "out")
	c.gauge("send_queue_unattempted_bytes", "Bytes queued and not yet offered to a socket.")
	c.gauge("send_queue_held_bytes", "Bytes queued for peers that do not read fast enough.")
	c.counters("connections_cut_total", "Connections cut by the gateway.", "reason", "slow", "budget", "heartbeat", "protocol")
	c.counters("publications_left_out_total", "Publications that slow members did not get, by the room's policy.",
		"policy", "drop_oldest", "conflate")
	c.counters("connections_closed_total", "Connections that ended.", "by", "peer", "server", "abnormally")
	c.read = func(set func(float64)) {
		s := stats()
		for _, v := range []int64{
			s.Open, s.Accepted, s.Refused, s.MessagesIn, s.ControlIn, s.FramesOut, s.BytesIn, s.BytesOut, s.QueuedBytes,
			s.HeldBytes, s.SlowCuts, s.BudgetCuts, s.HeartbeatTimeouts, s.ProtocolErrors, s.Dropped, s.Conflated, s.ClosedByPeer, s.ClosedByServer, s.ClosedAbnormally,
		} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}

// Hub registers the metrics of the hub.
func (r *Registry) Hub(stats func() hub.Stats) {
	c := &Collector{}
	c.gauge("sessions", "Sessions, authenticated or not.")
	c.gauge("rooms", "Rooms with members on this instance.")
	c.gauge("memberships", "Seats in rooms on this instance.")
	c.counter("deliveries_total", "Publications queued on members' connections.")
	c.counter("gaps_total", "Holes that members were told of.")
	c.counters("resumes_total", "Joins with a position, by outcome.", "outcome", "recovered", "refused")
	c.counter("join_rereads_total", "Joins that read the log again, since the room was busier than they.")
	c.read = func(set func(float64)) {
		s := stats()
		for _, v := range []int64{
			s.Sessions, s.Rooms, s.Memberships, s.Delivered, s.Gaps, s.Recovered, s.RecoveryRefused, s.JoinRetry,
		} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}

// Router registers the metrics of the router.
func (r *Registry) Router(stats func() router.Stats) {
	codes := make([]string, 0, len(wire.Codes()))
	for _, code := range wire.Codes() {
		codes = append(codes, string(code))
	}
	c := &Collector{}
	c.counter("requests_total", "Messages of clients.")
	c.counter("published_total", "Publishes that were stored.")
	c.counters("errors_total", "Errors that clients were told, by code.", "code", codes...)
	c.read = func(set func(float64)) {
		s := stats()
		set(float64(s.Requests))
		set(float64(s.Published))
		for _, code := range wire.Codes() {
			set(float64(s.Errors[code]))
		}
	}
	r.reg.MustRegister(c)
	r.life(stats)
}

// Broker registers the metrics of the embedded broker.
func (r *Registry) Broker(stats func() membroker.Stats) {
	c := &Collector{}
	c.gauge("broker_rooms", "Rooms with history or metadata.")
	c.gauge("broker_busy_rooms", "Rooms with something to hand over.")
	c.gauge("broker_entries", "Publications kept.")
	c.gauge("broker_idempotency_keys", "Idempotency keys kept.")
	c.gauge("broker_memory_bytes", "What history, metadata and keys count in the budget.")
	c.gauge("broker_handoff_bytes", "What waits for delivery.")
	c.counter("broker_published_total", "Publications taken.")
	c.counter("broker_repeated_total", "Publishes recognised as repeats.")
	c.counter("broker_handoff_waits_total", "Times a publish found a full hand-off.")
	c.counter("broker_evicted_rooms_total", "Rooms whose history the budget took.")
	c.counter("broker_epochs_ended_total", "Epochs that ended.")
	c.read = func(set func(float64)) {
		s := stats()
		for _, v := range []int{s.Rooms, s.Busy, s.Entries, s.Keys} {
			set(float64(v))
		}
		for _, v := range []int64{s.MemoryBytes, s.HandoffBytes} {
			set(float64(v))
		}
		for _, v := range []uint64{s.Published, s.Repeated, s.Waits, s.Evicted, s.Gaps} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}

// Admission registers the metrics of admission. refused always has the same
// keys.
func (r *Registry) Admission(capacity int, refused func() map[string]int64) {
	var reasons []string
	for reason := range refused() {
		reasons = append(reasons, reason)
	}
	slices.Sort(reasons)
	c := &Collector{}
	c.gauge("connections_max", "Connections that this instance takes.")
	c.counters("upgrades_refused_total", "Upgrades that were refused, by reason.", "reason", reasons...)
	c.read = func(set func(float64)) {
		counts := refused()
		set(float64(capacity))
		for _, reason := range reasons {
			set(float64(counts[reason]))
		}
	}
	r.reg.MustRegister(c)
}

// Upstreams registers the metrics of calls that routes make.
func (r *Registry) Upstreams(stats func() bridge.CallStats) {
	c := &Collector{}
	c.counters("upstream_calls_total", "Calls of the services of routes, by outcome.", "outcome", bridge.Outcomes()...)
	c.counter("upstream_retries_total", "Attempts of such calls beside the first ones.")
	c.gauge("upstream_calls_running", "Such calls under way.")
	c.read = func(set func(float64)) {
		s := stats()
		for _, n := range s.Calls {
			set(float64(n))
		}
		set(float64(s.Retries))
		set(float64(s.Running))
	}
	r.reg.MustRegister(c)
}

// Webhooks registers the metrics of webhooks.
func (r *Registry) Webhooks(stats func() bridge.WebhookStats) {
	c := &Collector{}
	c.gauge("webhook_events_queued", "Events that wait to be told.")
	c.counters("webhook_events_total", "Events that were taken by the receiver, or given up.", "outcome", "delivered", "dropped")
	c.counter("webhook_retries_total", "Requests beside the first ones of their events.")
	c.read = func(set func(float64)) {
		s := stats()
		for _, v := range []int64{s.Queued, s.Delivered, s.Dropped, s.Retries} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}

// API registers the metrics of the server API.
func (r *Registry) API(stats func() httpapi.Stats) {
	codes := make([]string, 0, len(httpapi.Codes()))
	for _, code := range httpapi.Codes() {
		codes = append(codes, string(code))
	}
	c := &Collector{}
	c.counter("api_requests_total", "Requests of the server API that had a key.")
	c.counter("api_published_total", "Publications of backends that were taken.")
	c.counters("api_problems_total", "Refusals of the server API, by code.", "code", codes...)
	c.read = func(set func(float64)) {
		s := stats()
		set(float64(s.Requests))
		set(float64(s.Published))
		for _, code := range httpapi.Codes() {
			set(float64(s.Problems[code]))
		}
	}
	r.reg.MustRegister(c)
}

// Auth registers the metrics of authentication. The names of breakers never
// change.
func (r *Registry) Auth(stats func() auth.Stats) {
	var services []string
	for _, b := range stats().Breakers {
		services = append(services, b.Name)
	}
	c := &Collector{}
	c.counters("auth_verifications_total", "Credentials that were checked, by outcome.", "outcome", "accepted", "rejected", "unavailable")
	c.counter("auth_cached_answers_total", "Answers from memory.")
	c.counter("auth_calls_total", "Calls of the auth service, or for keys.")
	c.gauge("auth_calls_running", "Such calls under way.")
	c.counter("auth_claims_left_out_total", "Identities whose claims were too large.")
	if len(services) > 0 {
		c.add(prometheus.GaugeValue, "auth_breaker_open", "Whether calls are refused, 0.5: one is tried.", "service", services)
		c.counters("auth_breaker_opened_total", "Times that calls began to be refused.", "service", services...)
	}
	c.read = func(set func(float64)) {
		s := stats()
		for _, v := range []int64{s.Accepted, s.Rejected, s.Unavailable, s.Cached, s.Calls, s.Running, s.Oversize} {
			set(float64(v))
		}
		for _, b := range s.Breakers {
			set(float64(b.State) / float64(fault.Open))
		}
		for _, b := range s.Breakers {
			set(float64(b.Opened))
		}
	}
	r.reg.MustRegister(c)
}
