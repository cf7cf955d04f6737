package fault

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

var (
	errInternal = wire.NewError(wire.Internal, "internal error")
	errRefused  = wire.NewError(wire.Unavailable, "a service that this needs is not available: try again later")
	errTime     = wire.NewError(wire.Unavailable, "this took too long: try again later")
	errStopped  = wire.NewError(wire.Unavailable, "this was stopped before its end: try again later")
)

// Told is implemented by errors of other packages that know what a client may
// be told of them.
type Told interface{ Told() *wire.Error }

// Of turns an error into one that a client may see; nil stays nil. Those that
// say it themselves (*wire.Error, Told) are taken at their word; a breaker
// that is open, a time-out and a cancelled context are unavailable; whatever
// else it may be is internal, and its text stays here.
func Of(err error) *wire.Error {
	var known *wire.Error
	var told Told
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.As(err, &told):
		return told.Told()
	case errors.Is(err, ErrOpen):
		return errRefused
	case errors.Is(err, context.DeadlineExceeded):
		return errTime
	case errors.Is(err, context.Canceled):
		return errStopped
	}
	return errInternal
}

// Reporter turns errors into what clients may see and puts them into the log
// at their level. A fault that repeats a thousand times a second is in the log
// a few times a second, with how often it was left out. Safe for concurrent
// use.
type Reporter struct {
	log     *zap.Logger
	tallies [len(table)]tally // by row of the table
}

// reportBurst is how many entries of one code are written in a second.
const reportBurst = 5

// NewReporter makes a reporter.
func NewReporter(log *zap.Logger) *Reporter { return &Reporter{log: log} }

// Report returns Of(err), and logs err with the fields. The error must not be
// nil. It is cheap for levels that are not logged.
func (r *Reporter) Report(err error, fields ...zap.Field) *wire.Error {
	known := Of(err)
	i := index(known.Code)
	if !r.log.Core().Enabled(table[i].Level) {
		return known
	}
	write, left := r.tallies[i].take(time.Now().Unix())
	if !write {
		return known
	}
	if left > 0 {
		fields = append(fields, zap.Int64("leftOut", left))
	}
	r.log.Log(table[i].Level, "request failed: "+string(table[i].Code), append(fields, zap.Error(err))...)
	return known
}

// tally counts the entries of a second.
type tally struct {
	mu     sync.Mutex
	second int64 // guarded by mu: Unix time
	n      int64 // guarded by mu: entries of that second, written or not
}

// take tells whether to write one more entry, and how many were left out
// before it.
func (t *tally) take(second int64) (write bool, left int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if second != t.second {
		left = max(0, t.n-reportBurst)
		t.second, t.n = second, 0
	}
	t.n++
	return t.n <= reportBurst, left
}
