package statistics_test

import (
	"maps"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/statistics"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
	"github.com/moonx-farm/ws-gateway/internal/transport/ws"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestWhatStandsInSeveralCountersIsAddedUp(t *testing.T) {
	m := monitor.New()
	for range 3 {
		m.Begin(monitor.Publish).End()
	}
	got := statistics.Sources{
		Sockets: func() ws.Stats {
			return ws.Stats{QueuedBytes: 1, HeldBytes: 2, BytesIn: 3, BytesOut: 4, SlowCuts: 5, BudgetCuts: 6, Dropped: 7, Conflated: 8}
		},
		Engine: func() polling.Stats { return polling.Stats{HeldBytes: 10, SlowCuts: 20, BudgetCuts: 30} },
		Hub: func() hub.Stats {
			return hub.Stats{Sessions: 40, Rooms: 41, Memberships: 42, Delivered: 43, Gaps: 44}
		},
		Router: func() router.Stats {
			return router.Stats{
				Requests: 50, Published: 51, Errors: map[wire.Code]int64{wire.Forbidden: 2, wire.Internal: 0},
				Closed: map[wire.CloseCode]int64{wire.CloseGoingAway: 4, wire.CloseTooSlow: 0, 0: 1},
			}
		},
		Refused: func() map[string]int64 { return map[string]int64{"full": 6, "origin": 1} },
		Monitor: m,
	}.Read()

	for what, pair := range map[string][2]int64{
		"connections": {got.Connections, 40}, "rooms": {got.Rooms, 41}, "memberships": {got.Memberships, 42}, "queue": {got.QueueBytes, 13},
		"connects": {got.Connects, 45}, "messages": {got.Messages, 50}, "published": {got.Published, 51}, "deliveries": {got.Deliveries, 43},
		"bytes in": {got.BytesIn, 3}, "bytes out": {got.BytesOut, 4}, "refused": {got.Refused, 7},
		"slow cuts": {got.SlowCuts, 61}, "left out": {got.LeftOut, 15}, "gaps": {got.Gaps, 44},
		"publishes": {got.Latencies["publish"].Count, 3}, "joins": {got.Latencies["join"].Count, 0}, "start": {got.StartedAt, m.Started().UnixMilli()},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d, want %d", what, pair[0], pair[1])
		}
	}
	if want := map[string]int64{"going_away": 4, "other": 1}; !maps.Equal(got.Disconnects, want) {
		t.Errorf("disconnects %v, want %v", got.Disconnects, want)
	}
	if want := map[string]int64{"forbidden": 2}; !maps.Equal(got.Errors, want) {
		t.Errorf("errors %v, want %v", got.Errors, want)
	}
	if len(got.Latencies) != len(monitor.Ops()) {
		t.Errorf("latencies of %d operations", len(got.Latencies))
	}
}

func TestTheBucketsOfALatencyRiseAndHoldAll(t *testing.T) {
	m := monitor.New()
	slow := m.Begin(monitor.Publish)
	for range 10 {
		m.Begin(monitor.Publish).End()
	}
	<-time.After(20 * time.Millisecond) // what the slow one takes
	slow.End()
	none := func() map[string]int64 { return nil }
	got := statistics.Sources{
		Sockets: func() ws.Stats { return ws.Stats{} }, Engine: func() polling.Stats { return polling.Stats{} },
		Hub: func() hub.Stats { return hub.Stats{} }, Router: func() router.Stats { return router.Stats{} }, Refused: none, Monitor: m,
	}.Read().Latencies["publish"]
	sum, last := int64(0), 0.0
	for _, b := range got.Buckets {
		if b.UpToMS <= last || b.Count <= 0 {
			t.Errorf("%+v after %v ms", b, last)
		}
		sum, last = sum+b.Count, b.UpToMS
	}
	if sum != got.Count || sum != 11 || last < 20 {
		t.Errorf("%d of %d in buckets up to %v ms", sum, got.Count, last)
	}
}
