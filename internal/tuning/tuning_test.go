package tuning

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestBadSettingsAreAllNamed(t *testing.T) {
	err := Config{GCPercent: 5, GCMemoryLimit: 1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "GC_PERCENT 5:") || !strings.Contains(err.Error(), "GC_MEMORY_LIMIT_BYTES 1:") {
		t.Errorf("got %v", err)
	}
	for _, good := range []Config{{}, {GCPercent: 10, GCMemoryLimit: 64 << 20}, {GCPercent: 1000, GCMemoryLimit: 1 << 40}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

func TestApplySetsTheRuntimeAndZeroLeavesIt(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	defer func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) }()
	Config{GCPercent: 250, GCMemoryLimit: 8 << 30}.Apply()
	Config{}.Apply()
	if got := debug.SetGCPercent(100); got != 250 {
		t.Errorf("GC percent %d", got)
	}
	if got := debug.SetMemoryLimit(-1); got != 8<<30 {
		t.Errorf("memory limit %d", got)
	}
}

func TestTheModeKeepsTheLimitBelowTheMemory(t *testing.T) {
	limit := func(memory int64) string {
		for _, p := range Mode(memory) {
			if p.Name == "GC_MEMORY_LIMIT_BYTES" {
				return p.Value
			}
		}
		return ""
	}
	for memory, want := range map[int64]string{0: "", 50 << 20: "", 10_000_000_000: "8000000000"} {
		if got := limit(memory); got != want {
			t.Errorf("of %d bytes: %q, want %q", memory, got, want)
		}
	}
}
