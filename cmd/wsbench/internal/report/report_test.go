package report

import (
	"bytes"
	"encoding/json"
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
	a.Latencies = []Latency{{Name: "latency", Summary: hdr.Summary{Count: 1, P50: time.Millisecond, Max: time.Second}}}
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
		"1,500": Format(1499.7, ""), "61.25": Format(61.254, ""), "613.0": Format(612.96, ""),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTheSeriesOfALongRunIsBounded(t *testing.T) {
	p := NewProgress(nil)
	p.Phase("hold")
	const n = 11_000
	for i := range n {
		p.Add(Point{At: float64(i + 1), Span: 1, Messages: 10, Connections: int64(i)})
	}
	s := p.Series()
	if len(s) >= MaxPoints || len(s) < MaxPoints/4 {
		t.Errorf("%d points", len(s))
	}
	sum := 0.0
	for _, q := range s {
		sum += q.Span * q.Messages
	}
	if last := s[len(s)-1]; sum != 10*n || last.At != n || last.Phase != "hold" || last.Target != "gateway" {
		t.Errorf("%v messages, last %+v", sum, last)
	}
}

func TestAStepBelongsToThePhaseItWasMostlyIn(t *testing.T) {
	p := NewProgress(nil)
	p.Phase("measure")
	p.Add(Point{Span: 1e-9})
	p.Phase("finish")
	p.Add(Point{Span: 3600})
	p.Add(Point{Span: 1e-9})
	got := ""
	for _, q := range p.Series() {
		got += q.Phase + " "
	}
	if got != "measure measure finish " {
		t.Error(got)
	}
}
