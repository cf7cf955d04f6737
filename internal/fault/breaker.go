package fault

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// ErrOpen is the error of a call that a breaker did not let through. Of makes
// it "unavailable".
var ErrOpen = errors.New("circuit breaker is open")

// Outcome is what a call's error says about the health of the service called.
type Outcome uint8

// The outcomes that a breaker counts.
const (
	Answered Outcome = iota // the service works, whatever it said
	Failed                  // it does not
	Unknown                 // the call ended before it could tell
)

// Judge is the notion of failure that breakers have unless told otherwise.
// Answered: nil, and a *wire.Error that blames the request (invalid_message,
// unauthenticated, forbidden, …): a service that refuses a bad token is well.
// Unknown: a context that its caller cancelled, and ErrOpen of a breaker
// further down. Failed: everything else, so time-outs, refused connections,
// garbage, and a *wire.Error with unavailable or internal.
func Judge(err error) Outcome {
	var known *wire.Error
	switch {
	case err == nil:
		return Answered
	case errors.Is(err, context.Canceled), errors.Is(err, ErrOpen):
		return Unknown
	case errors.As(err, &known) && known.Code != wire.Unavailable && known.Code != wire.Internal:
		return Answered
	}
	return Failed
}

// BreakerSettings say when a breaker opens and for how long. Zero values are
// the defaults.
type BreakerSettings struct {
	// Failures in a row open it, 5 by default. So do half of at least Sample
	// calls (default 20) within 10 seconds: a service that fails every other
	// call never fails 5 times in a row.
	Failures int
	Sample   int
	// OpenFor is how long it then refuses calls, 5 seconds by default. The
	// first Probes calls after that (default 1) are let through; it closes when
	// they all succeed and opens again when one fails. So it closes at the
	// first call that comes OpenFor or later after it opened, if that succeeds.
	OpenFor time.Duration
	Probes  int
	// Judge tells what an error says about the service; nil: Judge.
	Judge func(error) Outcome
	// Log is told when it opens (warn), is tried (debug) and closes (info);
	// nil: nobody is.
	Log *zap.Logger
}

func (s BreakerSettings) withDefaults() BreakerSettings {
	if s.Failures <= 0 {
		s.Failures = 5
	}
	if s.Sample <= 0 {
		s.Sample = 20
	}
	if s.OpenFor <= 0 {
		s.OpenFor = 5 * time.Second
	}
	if s.Probes <= 0 {
		s.Probes = 1
	}
	if s.Judge == nil {
		s.Judge = Judge
	}
	if s.Log == nil {
		s.Log = zap.NewNop()
	}
	return s
}

// The window of BreakerSettings.Sample.
const (
	breakerWindow = 10 * time.Second
	breakerBucket = time.Second
)

// State is what a breaker does with the next call.
type State uint8

// The states of a breaker.
const (
	Closed   State = iota // lets calls through
	HalfOpen              // lets a few through, to see whether the service is back
	Open                  // refuses calls
)

// String is "closed", "half_open" or "open", also used as a metric label.
func (s State) String() string { return [...]string{"closed", "half_open", "open"}[min(s, Open)] }

// States lists the states, in the order of their names in metrics.
func States() []State { return []State{Closed, HalfOpen, Open} }

// BreakerStats is a snapshot of a breaker.
type BreakerStats struct {
	State    State
	Opened   int64 // times it opened
	Refused  int64 // calls it did not let through
	Answered int64
	Failed   int64
}

// Breaker stops calls to a service that fails, so that it can recover and
// callers do not wait for it. Safe for concurrent use.
type Breaker struct {
	name  string
	judge func(error) Outcome
	inner *gobreaker.TwoStepCircuitBreaker[struct{}]

	opened, refused, answered, failed atomic.Int64
}

// NewBreaker makes a closed breaker. The name is for logs and metrics: it is
// one of the program's own and never comes from a client.
func NewBreaker(name string, s BreakerSettings) *Breaker {
	s = s.withDefaults()
	b := &Breaker{name: name, judge: s.Judge}
	log := s.Log.With(zap.String("service", name))
	b.inner = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: name, MaxRequests: uint32(s.Probes), Timeout: s.OpenFor, //nolint:gosec // small
		Interval: breakerWindow, BucketPeriod: breakerBucket,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			told := c.TotalSuccesses + c.TotalFailures
			return int(c.ConsecutiveFailures) >= s.Failures || int(told) >= s.Sample && c.TotalFailures*2 >= told
		},
		IsExcluded:   func(err error) bool { return s.Judge(err) == Unknown },
		IsSuccessful: func(err error) bool { return s.Judge(err) == Answered },
		OnStateChange: func(_ string, _, to gobreaker.State) { // under the breaker's lock
			switch stateOf(to) {
			case Open:
				b.opened.Add(1)
				log.Warn("service fails: calls are refused for a while", zap.Duration("for", s.OpenFor))
			case HalfOpen:
				log.Debug("service is tried again")
			case Closed:
				log.Info("service is back")
			}
		},
	})
	return b
}

func stateOf(s gobreaker.State) State {
	switch s {
	case gobreaker.StateClosed:
		return Closed
	case gobreaker.StateHalfOpen:
		return HalfOpen
	default:
		return Open
	}
}

// Allow asks for one call. Without an error the caller makes it and tells its
// outcome to done, exactly once on every path: a probe that is never told of
// keeps the breaker half open for ever. The error wraps ErrOpen.
func (b *Breaker) Allow() (done func(error), err error) {
	inner, err := b.inner.Allow()
	if err != nil {
		b.refused.Add(1)
		return nil, fmt.Errorf("call %s: %w", b.name, ErrOpen)
	}
	return func(err error) {
		switch b.judge(err) {
		case Answered:
			b.answered.Add(1)
		case Failed:
			b.failed.Add(1)
		case Unknown:
		}
		inner(err)
	}, nil
}

// Do makes a call unless the breaker is open, and returns its error. When it
// is open, call does not run and the error wraps ErrOpen. A call that panics
// counts as failed.
func (b *Breaker) Do(call func() error) error {
	done, err := b.Allow()
	if err != nil {
		return err
	}
	err = errPanicked
	defer func() { done(err) }()
	err = call()
	return err
}

var errPanicked = errors.New("the call panicked")

// Name is the name given to NewBreaker.
func (b *Breaker) Name() string { return b.name }

// State tells what would become of a call now.
func (b *Breaker) State() State { return stateOf(b.inner.State()) }

// Err is nil while the breaker is closed: else it says why, for health. It
// takes a successful call to close a breaker, so a service that nobody calls
// is said to be on trial until somebody does.
func (b *Breaker) Err() error {
	switch b.State() {
	case Open:
		return fmt.Errorf("call %s: %w", b.name, ErrOpen)
	case HalfOpen:
		return errTrial
	default:
		return nil
	}
}

var errTrial = errors.New("failed before, and no call has succeeded since")

// Stats returns the state and the counters.
func (b *Breaker) Stats() BreakerStats {
	return BreakerStats{b.State(), b.opened.Load(), b.refused.Load(), b.answered.Load(), b.failed.Load()}
}
