package config

import (
	"strings"
	"testing"
)

// shown is what "gateway config" prints, by setting.
func shown(t *testing.T, environ ...string) map[string]string {
	t.Helper()
	c, err := Load(environ, "")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(b.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		out[name] = value
	}
	return out
}

func TestPerformanceModeSetsWhatItSaysAndShowsIt(t *testing.T) {
	const mark = "   # by PERFORMANCE_MODE"
	for name, value := range map[string]string{"GC_PERCENT": "0", "LOG_SAMPLING": "false", "BROKER_BATCH": "64"} {
		if got := shown(t)[name]; got != value {
			t.Errorf("without the mode, %s is %q", name, got)
		}
	}
	on := shown(t, "PERFORMANCE_MODE=true")
	for name, value := range map[string]string{
		"GC_PERCENT": "300", "LOG_SAMPLING": "true", "BROKER_BATCH": "256", "BROKER_HANDOFF_BYTES": "4194304",
	} {
		if on[name] != value+mark {
			t.Errorf("with the mode, %s is %q", name, on[name])
		}
	}
	if on["PERFORMANCE_MODE"] != "true   # not the default" || !strings.HasSuffix(on["GC_MEMORY_LIMIT_BYTES"], mark) {
		t.Errorf("with the mode: %q, %q", on["PERFORMANCE_MODE"], on["GC_MEMORY_LIMIT_BYTES"])
	}
}

func TestWhatIsSetByHandStaysInPerformanceMode(t *testing.T) {
	on := shown(t, "PERFORMANCE_MODE=true", "GC_PERCENT=150", "BROKER_BATCH=64", "GOMEMLIMIT=1GiB")
	for name, want := range map[string]string{"GC_PERCENT": "150   # not the default", "BROKER_BATCH": "64", "GC_MEMORY_LIMIT_BYTES": "0"} {
		if on[name] != want {
			t.Errorf("%s is %q, want %q", name, on[name], want)
		}
	}
	if on := shown(t, "PERFORMANCE_MODE=true", "GOGC=50"); on["GC_PERCENT"] != "0" {
		t.Errorf("GOGC=50 is overruled by %q", on["GC_PERCENT"])
	}
}
