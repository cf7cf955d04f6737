package report

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
)

// process is the result of one of several processes; it began n seconds after
// the first.
func process(n int) *Result {
	r := New("fanout", map[string]any{"n": 10})
	r.Started = time.Unix(int64(1000+n), 0)
	r.Seconds = 3
	run, base := r.Run("gateway"), r.Run("writev")
	run.Add("deliveries/s", 100, "")
	run.AddAs(Max, "measured", float64(10+n), "s")
	run.AddAs(Mean, "client RSS per connection", float64(100*n), "B")
	run.AddAs(First, "RSS settled", float64(5+n), "B")
	base.Add("deliveries/s", 200, "")
	r.Ratio("deliveries/s", run, base)
	var h hdr.Histogram
	h.RecordN(int64(n+1)*int64(time.Millisecond), 10)
	run.AddLatency("latency", &h)
	r.Check(n != 2, "in order", "%d reordered", n)
	r.Check(true, "nothing lost", "lost 0")
	r.Note("the same remark")
	for i := range 3 {
		r.Series = append(r.Series, Point{
			At: float64(i + 1), Span: 1, Phase: "measure", Connections: 10, Messages: 50, ServerRSS: 1 << 20,
			Latency: &Percentiles{P99: time.Duration(n+1) * time.Millisecond},
		})
	}
	return r
}

func merged(t *testing.T) *Result {
	t.Helper()
	m, err := Merge([]*Result{process(0), process(1), process(2)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFiguresAreMergedByTheirRules(t *testing.T) {
	run := merged(t).Runs[0]
	for name, want := range map[string]float64{
		"deliveries/s": 300, "measured": 12, "client RSS per connection": 100, "RSS settled": 5,
	} {
		if got := run.Value(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if m := merged(t); len(m.Ratios) != 1 || m.Ratios[0].Value != 0.5 {
		t.Errorf("%+v", m.Ratios)
	}
}

func TestLatenciesAreMergedByTheirHistograms(t *testing.T) {
	l := merged(t).Runs[0].Latencies[0]
	if l.Count != 30 || l.Max != 3*time.Millisecond || l.Mean != 2*time.Millisecond {
		t.Errorf("%+v", l.Summary)
	}
	if off := math.Abs(float64(l.P50-2*time.Millisecond)) / float64(2*time.Millisecond); off > 0.01 {
		t.Errorf("p50 %v", l.P50)
	}
}

func TestAMergedCheckHoldsIfItHoldsEverywhere(t *testing.T) {
	m := merged(t)
	if len(m.Checks) != 2 || m.Checks[0].OK || !m.Checks[1].OK || len(m.Notes) != 1 {
		t.Fatalf("%+v %v", m.Checks, m.Notes)
	}
	if d := m.Checks[0].Detail; d != "process 3: 2 reordered" {
		t.Errorf("%q", d)
	}
	if d := m.Checks[1].Detail; d != "lost 0" {
		t.Errorf("%q", d)
	}
}

func TestSeriesAreLaidOverEachOther(t *testing.T) {
	m := merged(t)
	if m.Seconds != 5 || len(m.Series) != 5 {
		t.Fatalf("%v s, %+v", m.Seconds, m.Series)
	}
	// The first ends after three seconds; the last begins after two.
	for i, want := range []int64{10, 20, 30, 20, 10} {
		if p := m.Series[i]; p.Connections != want || p.Messages != float64(5*want) || p.ServerRSS != 1<<20 {
			t.Errorf("step %d: %+v", i, p)
		}
	}
	if got := m.Series[2].Latency.P99; got != 3*time.Millisecond {
		t.Errorf("p99 %v, want the worst process's", got)
	}
}

func TestWhatIsMergedSurvivesAFile(t *testing.T) {
	b, err := json.Marshal(process(1))
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	m, err := Merge([]*Result{process(0), &back})
	if err != nil || m.Runs[0].Latencies[0].Count != 20 || m.Runs[0].Value("measured") != 11 {
		t.Errorf("%v %+v", err, m)
	}
}

func TestWhatCannotBeMergedIsAnError(t *testing.T) {
	other, bare, broken := process(0), process(0), process(0)
	other.Scenario = "idle"
	bare.Runs[0].Latencies[0].Histogram = nil
	broken.Runs[0].Latencies[0].Histogram = &hdr.Sparse{Counts: []uint64{1}}
	for want, list := range map[string][]*Result{
		"there are none":    nil,
		"one is of fanout":  {process(0), other},
		"has no histogram":  {process(0), bare},
		"not made of pairs": {process(0), broken},
	} {
		if _, err := Merge(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestALongSeriesIsThinnedOut(t *testing.T) {
	var points []Point
	for i := range 5 {
		points = append(points, Point{At: float64(i + 1), Span: 1, Messages: float64(i), Target: "gateway", Connections: int64(i)})
	}
	half := thin(points)
	if len(half) != 3 || half[0].Messages != 0.5 || half[0].Span != 2 || half[1].Connections != 3 || half[2].At != 5 {
		t.Errorf("%+v", half)
	}
}
