package metrics

import (
	"github.com/moonx-farm/ws-gateway/internal/bridge/emitter"
	"github.com/moonx-farm/ws-gateway/internal/peer"
	"github.com/moonx-farm/ws-gateway/internal/socketio"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
)

// SocketIO registers the metrics of Socket.IO clients and of the Engine.IO
// sessions under them.
func (r *Registry) SocketIO(engine func() polling.Stats, sockets func() socketio.Stats) {
	c := &Collector{}
	c.gauge("engineio_sessions", "Engine.IO sessions, on any transport.")
	c.gauge("engineio_polling_sessions", "Engine.IO sessions that poll.")
	c.gauge("engineio_held_bytes", "What is queued for and received from polling sessions.")
	c.counter("engineio_opened_total", "Engine.IO sessions that were opened.")
	c.counter("engineio_upgraded_total", "Sessions that moved from polling to a WebSocket.")
	c.counter("engineio_upgrades_failed_total", "WebSockets for a session that did not take it over.")
	c.counter("engineio_refused_total", "Requests that were answered with an error.")
	c.counter("engineio_polls_total", "Polls that were answered with packets.")
	c.counter("engineio_posts_total", "Posts that were taken.")
	c.counter("engineio_packets_received_total", "Messages of polling sessions.")
	c.counter("engineio_packets_sent_total", "Packets for polling sessions.")
	c.counter("engineio_slow_closes_total", "Polling sessions that ended since they were too slow.")
	c.counter("engineio_budget_closes_total", "Polling sessions that ended since all together held too much.")
	c.counter("engineio_heartbeat_timeouts_total", "Sessions that did not answer a ping in time.")
	c.counter("engineio_protocol_errors_total", "Sessions that ended for a broken rule.")
	c.gauge("socketio_connections", "Connections of Socket.IO clients.")
	c.gauge("socketio_waiting", "Of these, those without a socket.")
	c.gauge("socketio_sockets", "Sockets: namespaces that connections are in.")
	c.counter("socketio_connects_total", "CONNECT packets that were admitted.")
	c.counter("socketio_refused_total", "CONNECT packets that were not admitted.")
	c.counter("socketio_violations_total", "Connections that ended for a violation of the protocol.")
	c.counter("socketio_recovered_total", "Of the CONNECT packets that were admitted, those that took up a session.")
	c.gauge("socketio_asking", "Questions to clients that are not answered yet.")
	c.counter("socketio_asked_total", "Questions that clients were sent.")
	c.counter("socketio_answered_total", "Of these, those that were answered in time.")
	c.counter("socketio_stray_acks_total", "Acknowledgements that nobody waited for.")
	c.read = func(set func(float64)) {
		e, s := engine(), sockets()
		for _, v := range []int64{
			e.Sessions, e.Polling, e.HeldBytes, e.Opened, e.Upgraded, e.UpgradesFailed, e.Refused, e.Polls, e.Posts, e.PacketsIn,
			e.PacketsOut, e.SlowCuts, e.BudgetCuts, e.HeartbeatTimeouts, e.ProtocolErrors,
			s.Connections, s.Waiting, s.Sockets, s.Connects, s.Refused, s.Violations, s.Recovered,
			s.Asking, s.Asked, s.Answered, s.StrayAcks,
		} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}

// Emitter registers the metrics of what redis-emitter publishes.
func (r *Registry) Emitter(stats func() emitter.Stats) {
	c := &Collector{}
	c.gauge("emitter_connected", "Whether messages of redis-emitter are listened to.")
	c.counter("emitter_reconnects_total", "Connections that were lost.")
	c.counter("emitter_received_total", "Messages that came.")
	c.counter("emitter_dropped_total", "Messages that came faster than they could be carried out.")
	c.counter("emitter_events_total", "Events for namespaces of this instance.")
	c.counter("emitter_delivered_total", "Copies of events that connections were sent.")
	c.counter("emitter_requests_total", "Requests that were carried out.")
	c.counter("emitter_refused_total", "Events with reserved names, and memberships that cannot be.")
	c.counter("emitter_unreadable_total", "Messages that are malformed or too large.")
	c.read = func(set func(float64)) {
		s := stats()
		connected := 0.0
		if s.Connected {
			connected = 1
		}
		set(connected)
		for _, v := range []int64{
			s.Reconnects, s.Received, s.Dropped, s.Events, s.Delivered, s.Requests, s.Refused, s.Unreadable,
		} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}

// Peer registers the metrics of what instances pass on to each other.
func (r *Registry) Peer(sent func() peer.Stats, taken func() peer.ReceiverStats) {
	c := &Collector{}
	c.gauge("peer_requests", "Requests that are being passed on to other instances.")
	c.gauge("peer_websockets", "WebSockets that live by way of this instance.")
	c.counter("peer_passed_total", "Requests that were passed on.")
	c.counter("peer_failed_total", "Of these, those without an answer, or with one that broke off.")
	c.counter("peer_unknown_total", "Requests for sessions of instances that are not there.")
	c.counter("peer_busy_total", "Requests that were refused since too many were under way.")
	c.counter("peer_taken_total", "Requests of other instances.")
	c.counter("peer_refused_total", "Requests on the peer route without a valid ticket.")
	c.read = func(set func(float64)) {
		s, t := sent(), taken()
		for _, v := range []int64{s.Requests, s.WebSockets, s.Passed, s.Failed, s.Unknown, s.Busy, t.Taken, t.Refused} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}
