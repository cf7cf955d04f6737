//go:build linux

package bench

import (
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
)

// within waits until ok, for half a minute at most.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

func TestAServerIsWatchedThroughItsMetrics(t *testing.T) {
	var asked atomic.Int64
	var gone atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if gone.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		cpu := "10"
		if asked.Add(1) > 1 {
			cpu = "12.5"
		}
		_, _ = w.Write([]byte("process_resident_memory_bytes 4096\nprocess_cpu_seconds_total " + cpu + "\n"))
	}))
	defer srv.Close()
	w, err := watchServer(t.Context(), &Options{Metrics: srv.URL + "/metrics"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.end()
	within(t, "memory", func() bool { l := w.load(); return l != nil && l.rss == 4096 })
	within(t, "CPU between two looks", func() bool { l := w.load(); return l != nil && l.percent > 0 })
	gone.Store(true)
	within(t, "nothing is known of a server that is away", func() bool { return w.load() == nil })
}

func TestAServerIsWatchedByItsProcess(t *testing.T) {
	w, err := watchServer(t.Context(), &Options{PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.end()
	within(t, "memory", func() bool { l := w.load(); return l != nil && l.rss > 1<<20 })
}

func TestNobodyIsWatchedUnlessToldWhom(t *testing.T) {
	w, err := watchServer(t.Context(), &Options{})
	if err != nil || w.load() != nil {
		t.Error(err, w.load())
	}
	w.end()
	if _, err := watchServer(t.Context(), &Options{Metrics: "::"}); err == nil {
		t.Error("bad URL taken")
	}
}

func TestEachStepHasItsOwnLatencies(t *testing.T) {
	var w window
	if w.take() != nil {
		t.Error("something of nothing")
	}
	var h hdr.Histogram
	h.RecordN(int64(time.Millisecond), 100)
	w.add(&h)
	w.add(&h)
	if p := w.take(); p == nil || p.Max != time.Millisecond || p.P50 < 990*time.Microsecond {
		t.Errorf("%+v", p)
	}
	if w.take() != nil {
		t.Error("a step has the latencies of the one before")
	}
}
