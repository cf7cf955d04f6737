package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("connection refused")

func returns(err error) func() error { return func() error { return err } }

func TestWhatCountsAsAFailureOfTheService(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want Outcome
	}{
		"an answer":                       {nil, Answered},
		"a bad token":                     {wire.NewError(wire.Unauthenticated, ""), Answered},
		"a refusal, wrapped":              {fmt.Errorf("ask: %w", wire.NewError(wire.Forbidden, "")), Answered},
		"a limit of the service":          {wire.NewError(wire.RateLimited, ""), Answered},
		"an unavailable service":          {wire.NewError(wire.Unavailable, ""), Failed},
		"a fault of the service":          {wire.NewError(wire.Internal, ""), Failed},
		"a time-out":                      {fmt.Errorf("ask: %w", context.DeadlineExceeded), Failed},
		"a broken connection":             {io.ErrUnexpectedEOF, Failed},
		"a caller that has gone":          {fmt.Errorf("ask: %w", context.Canceled), Unknown},
		"a breaker further down, open":    {fmt.Errorf("ask: %w", ErrOpen), Unknown},
		"a panic":                         {errPanicked, Failed},
		"an unavailable, caller has gone": {errors.Join(wire.NewError(wire.Unavailable, ""), context.Canceled), Unknown},
	} {
		if got := Judge(c.err); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestItOpensAfterFailuresInARowAndClosesWithinItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		b := NewBreaker("auth", BreakerSettings{OpenFor: 3 * time.Second, Log: zap.New(core)})
		for i := range 5 {
			if b.State() != Closed || b.Err() != nil {
				t.Fatalf("%s after %d failures", b.State(), i)
			}
			if err := b.Do(returns(errDown)); !errors.Is(err, errDown) {
				t.Fatal(err)
			}
		}
		if err := b.Do(func() error { t.Error("called"); return nil }); !errors.Is(err, ErrOpen) || b.State() != Open || !errors.Is(b.Err(), ErrOpen) {
			t.Errorf("open: %v, %s, %v", err, b.State(), b.Err())
		}
		time.Sleep(3*time.Second + 1)
		if b.State() != HalfOpen || b.Err() == nil {
			t.Errorf("after its time: %s, %v", b.State(), b.Err())
		}
		if err := b.Do(returns(errDown)); !errors.Is(err, errDown) || b.State() != Open {
			t.Errorf("a probe that fails: %v, %s", err, b.State())
		}
		time.Sleep(3*time.Second + 1)
		if err := b.Do(returns(nil)); err != nil || b.State() != Closed || b.Err() != nil {
			t.Errorf("a probe that succeeds: %v, %s, %v", err, b.State(), b.Err())
		}
		if got := b.Stats(); got != (BreakerStats{State: Closed, Opened: 2, Refused: 1, Answered: 1, Failed: 6}) {
			t.Errorf("%+v", got)
		}
		if opened, back := logs.FilterMessageSnippet("refused").Len(), logs.FilterMessage("service is back").Len(); opened != 2 || back != 1 {
			t.Errorf("the log says %d times that it opened, %d that it closed", opened, back)
		}
	})
}

func TestHalfOpenLetsOneThroughAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker("auth", BreakerSettings{Failures: 1, OpenFor: time.Second})
		_ = b.Do(returns(errDown))
		time.Sleep(time.Second + 1)
		done, err := b.Allow()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Allow(); !errors.Is(err, ErrOpen) {
			t.Errorf("a second probe: %v", err)
		}
		done(context.Canceled) // tells nothing: the next one is the probe
		done, err = b.Allow()
		if err != nil || b.State() != HalfOpen {
			t.Fatalf("after a probe that told nothing: %v, %s", err, b.State())
		}
		done(nil)
		if b.State() != Closed {
			t.Error(b.State())
		}
	})
}

func TestAServiceThatFailsEveryOtherCallOpensIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker("auth", BreakerSettings{Sample: 10})
		for i := range 9 {
			_ = b.Do(returns([]error{errDown, nil}[i%2]))
		}
		if b.State() != Closed {
			t.Fatal("open before the sample was large enough")
		}
		_ = b.Do(returns(nil))
		_ = b.Do(returns(errDown)) // 6 of 11
		if b.State() != Open {
			t.Error("closed although half of all calls failed")
		}
	})
}

func TestOldFailuresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker("auth", BreakerSettings{Sample: 10})
		for range 4 {
			_ = b.Do(returns(errDown))
			_ = b.Do(returns(nil))
		}
		time.Sleep(2 * breakerWindow)
		for range 2 {
			_ = b.Do(returns(errDown))
			_ = b.Do(returns(nil))
		}
		if b.State() != Closed {
			t.Error("open by failures of another time")
		}
	})
}

func TestBadRequestsAndCallersWhoLeaveDoNotOpenIt(t *testing.T) {
	b := NewBreaker("auth", BreakerSettings{})
	for range 1000 {
		_ = b.Do(returns(wire.NewError(wire.Unauthenticated, "bad token")))
		_ = b.Do(returns(context.Canceled))
	}
	if b.State() != Closed {
		t.Error(b.State())
	}
	if got := b.Stats(); got.Answered != 1000 || got.Failed != 0 {
		t.Errorf("%+v", got)
	}
}

func TestTheJudgeMayBeAnother(t *testing.T) {
	b := NewBreaker("auth", BreakerSettings{Failures: 1, Judge: func(err error) Outcome {
		if err == nil {
			return Failed
		}
		return Answered
	}})
	if _ = b.Do(returns(errDown)); b.State() != Closed {
		t.Error("open")
	}
	if _ = b.Do(returns(nil)); b.State() != Open {
		t.Error("closed")
	}
}

func TestACallThatPanicsCountsAsFailedAndLeavesNoProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker("auth", BreakerSettings{Failures: 1, OpenFor: time.Second})
		boom := func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = b.Do(func() error { panic("boom") })
		}
		boom()
		if b.State() != Open {
			t.Error(b.State())
		}
		time.Sleep(time.Second + 1)
		boom()
		time.Sleep(time.Second + 1)
		if err := b.Do(returns(nil)); err != nil || b.State() != Closed {
			t.Errorf("%v, %s", err, b.State())
		}
	})
}

func TestStatesHaveTheirNames(t *testing.T) {
	want := []string{"closed", "half_open", "open"}
	for i, s := range States() {
		if s.String() != want[i] {
			t.Errorf("%d is called %q", s, s)
		}
	}
	if len(States()) != len(want) || State(9).String() != "open" {
		t.Error("States")
	}
}
