package metrics

import (
	"strings"

	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Plan registers the metrics under the names that dashboards of the gateway's
// plan know.
func (r *Registry) Plan(transport func() ws.Stats, routed func() router.Stats) {
	codes := make([]string, 0, len(wire.Codes()))
	for _, code := range wire.Codes() {
		codes = append(codes, string(code))
	}
	closes := append(wire.CloseCodes(), 0)
	reasons := make([]string, 0, len(closes))
	for _, code := range closes {
		reasons = append(reasons, strings.ReplaceAll(code.String(), " ", "_"))
	}
	c := &Collector{}
	c.gauge("websocket_connections_active", "Open connections.")
	c.counter("websocket_connections_total", "Connections that were opened.")
	c.counter("websocket_messages_received_total", "Messages of clients, text and binary.")
	c.counter("websocket_messages_sent_total", "Frames written whole, control frames included.")
	c.counters("websocket_disconnections_total", "Connections that ended, by the reason of their close code.", "reason", reasons...)
	c.counters("websocket_errors_total", "Errors that clients were told, by code.", "code", codes...)
	c.read = func(set func(float64)) {
		t, s := transport(), routed()
		for _, v := range []int64{t.Open, t.Accepted, t.MessagesIn, t.FramesOut} {
			set(float64(v))
		}
		for _, code := range closes {
			set(float64(s.Closed[code]))
		}
		for _, code := range wire.Codes() {
			set(float64(s.Errors[code]))
		}
	}
	r.reg.MustRegister(c)
}
