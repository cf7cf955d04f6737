package streams

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func nop() *zap.Logger { return zap.NewNop() }

func TestAnEventOfAClientIsAnEntry(t *testing.T) {
	r := newRig(t)
	s := NewSender(config(), r.redis, r.log)
	to := &policy.Stream{Name: "orders", MaxLength: 100}
	begin := time.Now().UnixMilli()
	id, err := s.Add(t.Context(), to, router.Call{
		Identity: &auth.Identity{UserID: "ann", Claims: json.RawMessage(`{"plan":"gold"}`)}, Connection: "c-1",
		Peer: netip.MustParseAddr("192.0.2.7"), Event: "order:create", Room: "shop", ID: []byte("7"), Data: []byte(`{"sku": "x"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(t.Context(), to, router.Call{Identity: &auth.Identity{UserID: "g", Guest: true}, Connection: "c-2", Event: "ping"}); err != nil {
		t.Fatal(err)
	}
	all := r.client.XRange(t.Context(), "orders", "-", "+").Val()
	if len(all) != 2 || all[0].ID != id {
		t.Fatalf("entries %v", all)
	}
	ms, _ := strconv.ParseInt(all[0].Values["time"].(string), 10, 64)
	if ms < begin || ms > time.Now().UnixMilli() || len(all[0].Values["callId"].(string)) < 20 || all[0].Values["callId"] == all[1].Values["callId"] {
		t.Errorf("%v", all[0].Values)
	}
	for i, want := range []map[string]string{
		{"event": "order:create", "data": `{"sku": "x"}`, "id": "7", "room": "shop", "user": "ann", "guest": "false",
			"claims": `{"plan":"gold"}`, "connection": "c-1", "instance": "gw", "address": "192.0.2.7"},
		{"event": "ping", "data": "null", "user": "g", "guest": "true", "claims": "null", "connection": "c-2", "instance": "gw"},
	} {
		if len(all[i].Values) != len(want)+2 { // callId, time
			t.Errorf("%v", all[i].Values)
		}
		for name, value := range want {
			if all[i].Values[name] != value {
				t.Errorf("%s is %v, want %s", name, all[i].Values[name], value)
			}
		}
	}
	if got := s.Stats(); got != (RouteStats{Added: 2}) {
		t.Errorf("%+v", got)
	}
}

func TestAStreamKeepsAboutAsManyEntriesAsItsRouteSays(t *testing.T) {
	r := newRig(t)
	s := NewSender(config(), r.redis, r.log)
	call := router.Call{Identity: &auth.Identity{UserID: "ann"}, Connection: "c-1", Event: "e"}
	for range 500 {
		if _, err := s.Add(t.Context(), &policy.Stream{Name: "orders", MaxLength: 50}, call); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.client.XLen(t.Context(), "orders").Val(); n < 50 || n > 200 {
		t.Errorf("%d entries", n)
	}
}

func TestAStreamThatTakesNothingIsUnavailable(t *testing.T) {
	r := newRig(t)
	s := NewSender(config(), r.redis, r.log)
	call := router.Call{Identity: &auth.Identity{UserID: "ann"}, Connection: "c-1", Event: "e", Data: []byte(`"canary"`)}
	r.client.Set(t.Context(), "orders", "mine", 0)
	if _, err := s.Add(t.Context(), &policy.Stream{Name: "orders", MaxLength: 50}, call); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("a key of another kind: %v", err)
	}
	if _, err := s.Add(t.Context(), &policy.Stream{Name: r.keys.stream, MaxLength: 50}, call); !wire.IsCode(err, wire.Internal) {
		t.Errorf("a key of the gateway's own: %v", err)
	}
	s.running.Store(maxAdding)
	if _, err := s.Add(t.Context(), &policy.Stream{Name: "free", MaxLength: 50}, call); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("too many: %v", err)
	}
	s.running.Store(0)
	r.server.Kill()
	if _, err := s.Add(t.Context(), &policy.Stream{Name: "free", MaxLength: 50}, call); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("no Redis: %v", err)
	}
	if got := s.Stats(); got != (RouteStats{Failed: 3, Refused: 1}) {
		t.Errorf("%+v", got)
	}
	logs := r.logs.FilterMessage("the stream of a route takes no events").All()
	if len(logs) != 1 {
		t.Errorf("%d lines", len(logs))
	}
	for _, e := range logs {
		if strings.Contains(e.ContextMap()["error"].(string), "canary") {
			t.Errorf("the log holds data: %v", e.ContextMap())
		}
	}
}
