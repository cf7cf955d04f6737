package cluster

import (
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestBadSettingsAreAllNamed(t *testing.T) {
	bad := Config{TTL: time.Millisecond, AdvertiseURL: "wss://ann:secret@host", Zone: "a\nb",
		Rebalance: RebalanceConfig{Threshold: math.NaN(), Rate: 0, Min: -1, Settle: -1}}
	err := bad.Validate()
	for _, name := range []string{"INSTANCE_TTL", "ADVERTISE_URL", "ZONE", "REBALANCE_THRESHOLD", "REBALANCE_RATE", "REBALANCE_MIN", "REBALANCE_SETTLE"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("a password stands in %v", err)
	}
	if _, err := New(bad, nil, zap.NewNop()); err == nil {
		t.Error("a registry was made of bad settings")
	}
	if err := settings("a").Validate(); err != nil {
		t.Error(err)
	}
}

func TestHowAnAdvertisedURLIsRead(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "wss://a.example": "wss://a.example", "https://a.example/": "wss://a.example", "http://127.0.0.1:3007": "ws://127.0.0.1:3007",
		"ws://a.example/gw/": "ws://a.example/gw", "wss://[::1]:3007": "wss://[::1]:3007",
	} {
		if got, err := baseURL(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"a.example", "ftp://a.example", "wss://", "wss://a?b", "wss://a?", "wss://a#b", "wss://u@a", "wss://:3007", "://", "wss://%zz",
		"wss://" + strings.Repeat("a", maxAdvertisedURL),
	} {
		if got, err := baseURL(in); err == nil {
			t.Errorf("%q was read as %q", in, got)
		}
	}
}
