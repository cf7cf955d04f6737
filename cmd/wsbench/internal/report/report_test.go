package report

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
)

func example() *Result {
	r := New("fanout", map[string]any{"members": 1000})
	a, b := r.Run("gateway"), r.Run("writev")
	a.Add("deliveries/s", 1_234_567, "")
	b.Add("deliveries/s", 2_469_134, "")
	a.Add("RSS", 5<<20, "B")
	a.Latencies = []Latency{{"latency", hdr.Summary{Count: 1, P50: time.Millisecond, Max: time.Second}}}
	r.Ratio("deliveries/s", a, b)
	r.Check(true, "nothing lost", "")
	r.Note("a remark")
	return r
}

func TestTableShowsEveryFigure(t *testing.T) {
	var b strings.Builder
	r := example()
	r.Check(false, "in order", "%d reordered", 3)
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1,234,567", "2,469,134", "5.00 MiB", "0.50", "p50 1ms", "FAILED 3 reordered", "a remark"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if r.OK() || !example().OK() {
		t.Error("OK is wrong")
	}
}

func TestJSONCanBeReadBack(t *testing.T) {
	var b bytes.Buffer
	if err := example().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Runs[0].Value("deliveries/s") != 1_234_567 || back.Runs[0].Latencies[0].P50 != time.Millisecond || back.Versions.Go == "" {
		t.Errorf("%+v", back)
	}
}

func TestFormat(t *testing.T) {
	for want, got := range map[string]string{
		"0.480 µs": Format(0.48, "µs"), "12": Format(12, ""), "-1,000": Format(-1000, ""), "512 B": Format(512, "B"),
		"1,500": Format(1499.7, ""),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestProgressIsPlainLinesWithoutATerminal(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	p := NewProgress(f)
	p.Phase("connect")
	for range 5 {
		p.Show(func() string { return "n=1" })
	}
	p.Done()
	b, _ := os.ReadFile(f.Name())
	if string(b) != "connect 0s  n=1\n" {
		t.Errorf("%q", b)
	}
}
