package health

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Check is one condition of the gateway's health.
type Check struct {
	// Name is shown to everybody.
	Name string
	// Ready returns why not, nil if so. It is called for every look at health
	// unless Fresh says otherwise, concurrently, and must end with its context.
	// Only a Reason in its error is shown; the rest goes into the log.
	Ready func(ctx context.Context) error
	// Degrades says that a failure leaves the gateway worth its traffic: the
	// check is not critical.
	Degrades bool
	// Fresh is how long a result is used again, for checks that ask somebody
	// else; 0: never.
	Fresh time.Duration
}

// Reason is an error whose text anybody may read: a few plain words such as
// "draining", never an address, a name or what another program said.
type Reason string //nolint:errname // it is what is said, and an error besides

// Error implements error.
func (r Reason) Error() string { return string(r) }

// The words of errors that are no Reason.
const (
	errFailed = Reason("failed")
	errLate   = Reason("timed out")
)

// Result is the outcome of a check.
type Result struct {
	Name      string  `json:"name"`
	Healthy   bool    `json:"healthy"`
	LatencyMS float64 `json:"latencyMs"` // of the check, in milliseconds
	Message   string  `json:"message"`   // "ok", or why not in words for everybody
	Critical  bool    `json:"critical"`

	err error // for the log
}

// probe is a check and its last result.
type probe struct {
	Check // immutable

	mu   sync.Mutex
	last Result    // guarded by mu
	at   time.Time // guarded by mu: when last was found; zero: never
}

// run makes the check, or gives its last result while that is fresh. changed
// tells whether it is another one than before.
func (p *probe) run(ctx context.Context) (r Result, changed bool) {
	if p.Fresh > 0 {
		p.mu.Lock() // one at a time: who waits here finds it fresh
		defer p.mu.Unlock()
		if !p.at.IsZero() && time.Since(p.at) < p.Fresh {
			return p.last, false
		}
		return p.keep(p.ask(ctx))
	}
	r = p.ask(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keep(r)
}

// keep notes a result. Called with mu held.
func (p *probe) keep(r Result) (Result, bool) {
	changed := p.at.IsZero() && !r.Healthy || !p.at.IsZero() && p.last.Healthy != r.Healthy
	p.last, p.at = r, time.Now()
	return r, changed
}

func (p *probe) ask(ctx context.Context) Result {
	begun := time.Now()
	err := p.Ready(ctx)
	r := Result{
		Name: p.Name, Healthy: err == nil, Message: statusOK, Critical: !p.Degrades,
		LatencyMS: float64(time.Since(begun).Microseconds()) / 1000, err: err,
	}
	if err != nil {
		r.Message = string(reason(err))
	}
	return r
}

// reason is what everybody may know of an error.
func reason(err error) Reason {
	var said Reason
	switch {
	case errors.As(err, &said):
		return said
	case errors.Is(err, context.DeadlineExceeded):
		return errLate
	}
	return errFailed
}
