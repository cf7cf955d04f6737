package statistics

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
)

// Sources are where the counters are. All must be safe for concurrent use.
type Sources struct {
	Sockets func() ws.Stats
	Engine  func() polling.Stats
	Hub     func() hub.Stats
	Router  func() router.Stats
	Refused func() map[string]int64 // upgrades, by reason
	Monitor *monitor.Monitor
}

// Read reads all of them; Instance is left empty. Safe for concurrent use.
func (s Sources) Read() fleet.Statistics {
	sockets, engine, members, routed := s.Sockets(), s.Engine(), s.Hub(), s.Router()
	out := fleet.Statistics{
		StartedAt: s.Monitor.Started().UnixMilli(), At: time.Now().UnixMilli(),
		Connections: members.Sessions, Rooms: members.Rooms, Memberships: members.Memberships,
		QueueBytes: sockets.QueuedBytes + sockets.HeldBytes + engine.HeldBytes,
		Messages:   routed.Requests, Published: routed.Published, Deliveries: members.Delivered,
		BytesIn: sockets.BytesIn, BytesOut: sockets.BytesOut,
		SlowCuts: sockets.SlowCuts + sockets.BudgetCuts + engine.SlowCuts + engine.BudgetCuts,
		LeftOut:  sockets.Dropped + sockets.Conflated, Gaps: members.Gaps,
		Disconnects: map[string]int64{}, Errors: map[string]int64{}, Latencies: map[string]fleet.Latency{},
	}
	out.Connects = out.Connections
	for code, n := range routed.Closed {
		out.Connects += n
		if n > 0 {
			out.Disconnects[strings.ReplaceAll(code.String(), " ", "_")] += n
		}
	}
	for code, n := range routed.Errors {
		if n > 0 {
			out.Errors[string(code)] = n
		}
	}
	for _, n := range s.Refused() {
		out.Refused += n
	}
	for _, op := range monitor.Ops() {
		out.Latencies[op.String()] = latency(s.Monitor.Total(op))
	}
	return out
}

// latency is a histogram with the bounds of its buckets in milliseconds.
func latency(h monitor.Histogram) fleet.Latency {
	out := fleet.Latency{Count: h.Count, Buckets: make([]fleet.Bucket, 0, len(h.Buckets))}
	for _, key := range slices.Sorted(maps.Keys(h.Buckets)) {
		out.Buckets = append(out.Buckets, fleet.Bucket{UpToMS: 1000 * math.Exp2(float64(key)/perDoubling), Count: h.Buckets[key]})
	}
	return out
}

// perDoubling is how many buckets of a monitor's histogram a doubling has.
const perDoubling = 1 << monitor.Schema
