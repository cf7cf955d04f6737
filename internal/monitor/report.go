package monitor

import (
	"encoding/json"
	"net/http"
	"time"
)

// Report is what the admin port shows. Durations are milliseconds.
type Report struct {
	UptimeSeconds float64 `json:"uptimeSeconds"`
	// WindowSeconds is what "recent" and "perSecond" stand for, about the
	// last minute.
	WindowSeconds float64              `json:"windowSeconds"`
	Operations    map[string]Operation `json:"operations"`
	Counters      map[string]Rate      `json:"counters"`
	Runtime       Runtime              `json:"runtime"`
}

// Rate is how often something happened.
type Rate struct {
	Count     int64   `json:"count"` // since the start
	PerSecond float64 `json:"perSecond"`
}

// Operation is what is known of one operation.
type Operation struct {
	Rate
	// TimedOneIn says how many of them are timed at present: 1 is all.
	TimedOneIn int       `json:"timedOneIn"`
	Recent     Latencies `json:"recent"`
	SinceStart Latencies `json:"sinceStart"`
}

// Latencies are how long operations took. All are 0 when there were none.
type Latencies struct {
	P50 float64 `json:"p50Ms"`
	P90 float64 `json:"p90Ms"`
	P99 float64 `json:"p99Ms"`
	Max float64 `json:"maxMs"`
}

func latencies(h Histogram) Latencies {
	return Latencies{ms(h.Quantile(0.5)), ms(h.Quantile(0.9)), ms(h.Quantile(0.99)), ms(h.Max)}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Started is when the monitor was made.
func (m *Monitor) Started() time.Time { return m.start }

// Count is how many operations there have been, timed or not.
func (m *Monitor) Count(op Op) int64 { return m.ops[op].count() }

// Total returns the durations of an operation since the start. Count is
// about how many there were, those not timed included.
func (m *Monitor) Total(op Op) Histogram {
	h := Histogram{Buckets: map[int]int64{}}
	m.ops[op].total.addTo(&h)
	return h
}

// Report says what every operation took since the start and in the last minute.
// Safe for concurrent use.
func (m *Monitor) Report() Report {
	oldest, window := m.window()
	rate := func(count, first int64) Rate {
		return Rate{count, float64(count-first) / max(window.Seconds(), 1)}
	}
	r := Report{
		UptimeSeconds: time.Since(m.start).Seconds(), WindowSeconds: window.Seconds(),
		Operations: map[string]Operation{}, Counters: map[string]Rate{}, Runtime: readRuntime(),
	}
	for _, op := range Ops() {
		o := &m.ops[op]
		recent := Histogram{Buckets: map[int]int64{}}
		for i := range o.slots {
			o.slots[i].addTo(&recent)
		}
		r.Operations[op.String()] = Operation{
			rate(o.count(), o.slots[oldest].first.Load()), int(o.mask.Load()) + 1, latencies(recent), latencies(m.Total(op)),
		}
	}
	for _, w := range m.watched {
		r.Counters[w.Name] = rate(w.Value(), w.first[oldest].Load())
	}
	return r
}

// window is the oldest slot that is in use, and how long ago it began.
func (m *Monitor) window() (oldest int, long time.Duration) {
	present := time.Since(m.start)
	for i := range m.begun {
		if begun := m.begun[i].Load(); begun >= 0 && present-time.Duration(begun) > long {
			oldest, long = i, present-time.Duration(begun)
		}
	}
	return oldest, long
}

// ServeHTTP answers with a Report as JSON.
func (m *Monitor) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	_ = out.Encode(m.Report()) // the client may have gone
}

// Handler measures a handler as an operation.
func (m *Monitor) Handler(op Op, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		span := m.Begin(op)
		next.ServeHTTP(w, r)
		span.End()
	})
}
