package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func look(t *testing.T, f http.HandlerFunc) (int, Report) {
	t.Helper()
	w := httptest.NewRecorder()
	f(w, httptest.NewRequest(http.MethodGet, "/health", nil))
	var r Report
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return w.Code, r
}

func fails(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

func TestHealthIsAllChecksTogether(t *testing.T) {
	internal := errors.New("dial 10.0.0.7: connection refused")
	for name, c := range map[string]struct {
		checks []Check
		status int
		word   string
		said   string // of the first check
	}{
		"no checks at all":                 {nil, 200, "ok", ""},
		"all is well":                      {[]Check{{Name: "a", Ready: fails(nil)}, {Name: "b", Ready: fails(nil)}}, 200, "ok", "ok"},
		"a critical one fails":             {[]Check{{Name: "a", Ready: fails(internal)}, {Name: "b", Ready: fails(nil)}}, 503, "unavailable", "failed"},
		"one that is not critical":         {[]Check{{Name: "a", Ready: fails(internal), Degrades: true}, {Name: "b", Ready: fails(nil)}}, 200, "degraded", "failed"},
		"one of each, the harmless first":  {[]Check{{Name: "a", Ready: fails(internal), Degrades: true}, {Name: "b", Ready: fails(internal)}}, 503, "unavailable", "failed"},
		"one of each, the harmless last":   {[]Check{{Name: "a", Ready: fails(internal)}, {Name: "b", Ready: fails(internal), Degrades: true}}, 503, "unavailable", "failed"},
		"a reason is shown":                {[]Check{{Name: "a", Ready: fails(Reason("draining"))}}, 503, "unavailable", "draining"},
		"a reason inside an internal text": {[]Check{{Name: "a", Ready: fails(fmt.Errorf("auth at 10.0.0.7: %w", Reason("breaker open")))}}, 503, "unavailable", "breaker open"},
		"a time-out":                       {[]Check{{Name: "a", Ready: fails(fmt.Errorf("ask 10.0.0.7: %w", context.DeadlineExceeded))}}, 503, "unavailable", "timed out"},
	} {
		s := New(c.checks, zap.NewNop())
		status, r := look(t, s.ServeReady)
		if status != c.status || r.Status != c.word || len(r.Checks) != len(c.checks) || r.Ready() != (c.status == 200) {
			t.Errorf("%s: %d %+v", name, status, r)
			continue
		}
		for i, got := range r.Checks {
			want := c.checks[i]
			if got.Name != want.Name || got.Critical == want.Degrades || got.Healthy != (want.Ready(t.Context()) == nil) {
				t.Errorf("%s: %+v", name, got)
			}
			if strings.Contains(got.Message, "10.0.0.7") || i == 0 && got.Message != c.said {
				t.Errorf("%s: everybody reads %q", name, got.Message)
			}
		}
		if status, r := look(t, s.ServeLive); status != 200 || r.Status != "ok" || len(r.Checks) != 0 {
			t.Errorf("%s: live says %d %+v", name, status, r)
		}
	}
}

func TestWhoIsSentAwayIsToldWhenToComeBack(t *testing.T) {
	w := httptest.NewRecorder()
	New([]Check{{Name: "a", Ready: fails(Reason("draining"))}}, zap.NewNop()).ServeReady(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Header().Get("Retry-After") != "1" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", w.Header())
	}
}

func TestAStuckCheckIsBoundedAndKeepsNoOtherFromItsResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		r := New([]Check{{Name: "stuck", Ready: stuck}, {Name: "unstuck", Ready: fails(nil)}}, zap.NewNop()).Look(t.Context())
		if r.Checks[0].Message != "timed out" || r.Checks[0].LatencyMS != 2000 || !r.Checks[1].Healthy {
			t.Errorf("%+v", r)
		}
	})
}

func TestSomebodyWhoLeavesFailsNoCheck(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := New([]Check{{Name: "a", Ready: func(ctx context.Context) error { return ctx.Err() }}}, zap.NewNop())
	if r := s.Look(ctx); !r.Ready() {
		t.Errorf("%+v", r)
	}
}

func TestAFreshResultIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		s := New([]Check{{Name: "a", Fresh: time.Second, Ready: func(context.Context) error {
			asked.Add(1)
			return Reason("down")
		}}}, zap.NewNop())
		for range 3 {
			if s.Look(t.Context()).Ready() {
				t.Error("ready")
			}
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times within the second", asked.Load())
		}
		time.Sleep(time.Second)
		s.Look(t.Context())
		if asked.Load() != 2 {
			t.Errorf("asked %d times after it", asked.Load())
		}
	})
}

func TestTheLogSaysChangesOnce(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	var fault error
	s := New([]Check{{Name: "a", Ready: func(context.Context) error { return fault }}}, zap.New(core))
	expect := func(what, message string) {
		t.Helper()
		s.Look(t.Context())
		s.Look(t.Context())
		all := logs.TakeAll()
		if message == "" && len(all) != 0 || message != "" && (len(all) != 1 || all[0].Message != message) {
			t.Errorf("%s: the log says %v", what, all)
		}
	}
	expect("at first", "")
	fault = errors.New("dial 10.0.0.7: refused")
	expect("failing", "unhealthy")
	fault = nil
	expect("back", "healthy again")
}
