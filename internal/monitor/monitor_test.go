package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/internal/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started is a monitor that runs until the test ends.
func started(t *testing.T) *Monitor {
	m := New()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return m
}

func (m *Monitor) took(op Op, d time.Duration) {
	s := m.Begin(op)
	time.Sleep(d)
	s.End()
}

func TestEveryBucketHoldsWhatItsKeySays(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 59, 60, 1000, 999_999, time.Millisecond, 7 * time.Millisecond, time.Second, 2 * time.Second, 127 * time.Second, time.Hour} {
		i := bucketOf(d)
		high := math.Exp2(float64(i+lowest) / perDoubling)
		low := math.Exp2(float64(i+lowest-1) / perDoubling)
		if s := d.Seconds(); i > 0 && s <= low || i < buckets-1 && s > high*(1+1e-15) {
			t.Errorf("%v is in (%g, %g]", d, low, high)
		}
	}
	for exp := -20; exp <= 6; exp++ { // ends belong to the bucket below them
		d := time.Duration(math.Exp2(float64(exp)) * float64(time.Second))
		if got := bucketOf(d) + lowest; exp >= -9 && got != exp*perDoubling {
			t.Errorf("2^%d s has the key %d", exp, got)
		}
	}
}

func TestPercentilesAreWithinFivePercent(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h histogram
	all := make([]time.Duration, 20_000)
	for i := range all {
		all[i] = time.Duration(math.Exp(r.NormFloat64()*1.5+13)) + 100 // around half a millisecond, with a long tail
		h.add(all[i], 1)
	}
	slices.Sort(all)
	s := Histogram{Buckets: map[int]int64{}}
	h.addTo(&s)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999} {
		want := all[int(math.Ceil(q*float64(len(all))))-1]
		if got := s.Quantile(q); math.Abs(float64(got-want)) > 0.05*float64(want) {
			t.Errorf("p%g: %v, want %v", q*100, got, want)
		}
	}
	if s.Quantile(1) > s.Max || s.Max != all[len(all)-1] || s.Count != int64(len(all)) {
		t.Errorf("max %v, count %d", s.Max, s.Count)
	}
	empty := Histogram{}
	if empty.Quantile(0.99) != 0 {
		t.Error("nothing took its time")
	}
}

func TestOperationsAreCountedAndTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := started(t)
		for range 99 {
			m.took(Join, 2*time.Millisecond)
		}
		m.took(Join, 500*time.Millisecond)
		m.Begin(Join) // never ends
		r := m.Report()
		join := r.Operations["join"]
		if join.Count != 101 || join.TimedOneIn != 1 || join.SinceStart != join.Recent {
			t.Errorf("%+v", join)
		}
		if l := join.Recent; math.Abs(l.P50-2) > 0.1 || math.Abs(l.P90-2) > 0.1 || l.Max != 500 || l.P99 > 2.1 {
			t.Errorf("%+v", l)
		}
		if other := r.Operations["publish"]; other.Count != 0 || other.Recent != (Latencies{}) {
			t.Errorf("publish: %+v", other)
		}
		if len(r.Operations) != len(Ops()) || len(Ops()) != ops {
			t.Errorf("%d operations", len(r.Operations))
		}
	})
}

func TestTheLastMinuteIsForgottenAndTheRestIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		var value atomic.Int64
		m.Watch(Counter{"messages", value.Load})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); m.Run(ctx) }()
		m.took(Publish, time.Second)
		value.Store(600)
		time.Sleep(29 * time.Second)
		r := m.Report()
		if p := r.Operations["publish"]; p.Count != 1 || p.Recent.Max != 1000 || math.Abs(p.PerSecond-1.0/30) > 0.001 {
			t.Errorf("within the minute: %+v", p)
		}
		if c := r.Counters["messages"]; c.Count != 600 || math.Abs(c.PerSecond-20) > 0.1 || math.Abs(r.WindowSeconds-30) > 0.1 {
			t.Errorf("%+v in %v s", c, r.WindowSeconds)
		}
		time.Sleep(50 * time.Second)
		synctest.Wait()
		r = m.Report()
		if p := r.Operations["publish"]; p.Count != 1 || p.PerSecond != 0 || p.Recent != (Latencies{}) || p.SinceStart.Max != 1000 {
			t.Errorf("after it: %+v", p)
		}
		if c := r.Counters["messages"]; c.Count != 600 || c.PerSecond != 0 || r.WindowSeconds < 60 || r.WindowSeconds > 70 {
			t.Errorf("after it: %+v in %v s", c, r.WindowSeconds)
		}
		cancel()
		<-done
	})
}

func TestOfManyASampleIsTimedThatStandsForAll(t *testing.T) {
	for n, want := range map[int64]uint32{0: 0, 1: 0, 1024: 0, 1025: 1, 2048: 1, 2049: 3, 4096: 3, 1_000_000: 1023, math.MaxInt64: 65535} {
		if got := maskFor(n); got != want {
			t.Errorf("of %d: %d, want %d", n, got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		m := started(t)
		burst := func(n int) {
			for range n {
				m.Begin(Publish).End()
			}
		}
		burst(100_000)
		time.Sleep(tick + 1)
		synctest.Wait()
		before := m.Total(Publish).Count
		burst(100_000)
		h := m.Total(Publish)
		if op := m.Report().Operations["publish"]; op.TimedOneIn != 128 || op.Count != 200_000 {
			t.Errorf("%+v", op)
		}
		// 781 are timed and stand for 100,000: 5 sigma are 18 %.
		if stands := h.Count - before; stands < 80_000 || stands > 120_000 {
			t.Errorf("the sample stands for %d", stands)
		}
		time.Sleep(2 * tick)
		synctest.Wait()
		if op := m.Report().Operations["publish"]; op.TimedOneIn != 1 {
			t.Errorf("in a quiet time: %+v", op)
		}
	})
}

func TestNobodyMeasuresWithoutAMonitor(t *testing.T) {
	var m *Monitor
	m.Begin(Publish).End()
	Span{}.End()
}

func TestMeasuringAllocatesNothing(t *testing.T) {
	m := New()
	if n := testing.AllocsPerRun(1000, func() { m.Begin(Deliver).End() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTheReportIsJSONAndSaysHowTheProcessDoes(t *testing.T) {
	m := New()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418) })
	w := httptest.NewRecorder()
	m.Handler(Upgrade, next).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ws", nil))
	if w.Code != 418 || m.Count(Upgrade) != 1 {
		t.Errorf("the handler: %d, counted %d", w.Code, m.Count(Upgrade))
	}
	w = httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	var r Report
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%v, %v", err, w.Header())
	}
	if p := r.Runtime; p.Goroutines == 0 || p.Processors == 0 || p.HeapGoalBytes == 0 || p.TotalBytes == 0 || p.GCPercent == 0 {
		t.Errorf("%+v", p)
	}
	if r.Operations["upgrade"].Count != 1 {
		t.Errorf("%+v", r.Operations)
	}
}

// accepting takes every token; down says whether it can.
type accepting struct{ down error }

func (a accepting) Verify(context.Context, string, netip.Addr) (auth.Identity, error) {
	return auth.Identity{UserID: "ann"}, nil
}
func (a accepting) Degraded() error { return a.down }

func TestVerificationsAreMeasuredAndTheVerifierStaysWhatItIs(t *testing.T) {
	m, down := New(), errors.New("down")
	v := m.Verifier(accepting{down})
	if id, err := v.Verify(t.Context(), "x", netip.Addr{}); err != nil || id.UserID != "ann" || m.Count(Authenticate) != 1 {
		t.Errorf("%+v, %v, counted %d", id, err, m.Count(Authenticate))
	}
	if d, ok := v.(auth.Degraded); !ok || !errors.Is(d.Degraded(), down) {
		t.Error("the verifier no longer says that it is down")
	}
	if d, ok := m.Verifier(auth.Development{}).(auth.Degraded); !ok || d.Degraded() != nil {
		t.Error("a verifier that depends on nobody is down")
	}
}

func BenchmarkSpan(b *testing.B) {
	for name, mask := range map[string]uint32{"timed": 0, "one in 1024 timed": 1023} {
		b.Run(name, func(b *testing.B) {
			m := New()
			m.ops[Publish].mask.Store(mask)
			b.ReportAllocs()
			for b.Loop() {
				m.Begin(Publish).End()
			}
		})
		b.Run(name+", in parallel", func(b *testing.B) {
			m := New()
			m.ops[Publish].mask.Store(mask)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					m.Begin(Publish).End()
				}
			})
		})
	}
}
