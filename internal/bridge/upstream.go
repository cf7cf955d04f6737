package bridge

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/router"
)

const (
	// retryDelay stands between two attempts of a call.
	retryDelay = 50 * time.Millisecond
	// attempts bounds them.
	attempts = 2
	// saidEvery is how often the log says that an upstream fails.
	saidEvery = 10 * time.Second
)

// Upstreams calls the services of routes. Make it with NewUpstreams. Safe for
// concurrent use. It has no goroutines: a call ends with its context.
type Upstreams struct {
	// Immutable after NewUpstreams.
	client *Client
	routes func() *policy.Routes // those in force
	log    *zap.Logger

	mu    sync.Mutex
	seen  *policy.Routes               // guarded by mu: those that known was tidied by
	known map[policy.Upstream]*service // guarded by mu

	stats counters
}

var _ router.Upstreams = (*Upstreams)(nil)

// service is what is known of one upstream.
type service struct {
	to      policy.Upstream // immutable
	breaker *fault.Breaker
	running atomic.Int64
	said    atomic.Int64 // Unix nanoseconds of the last line in the log
}

// NewUpstreams makes Upstreams for the routes of a policy. It says in the log
// if services cannot tell who calls them.
func NewUpstreams(client *Client, live *policy.Live, log *zap.Logger) *Upstreams {
	calls := slices.ContainsFunc(live.Routes().All(), func(r *policy.Route) bool { return r.HTTP != nil })
	if calls && len(client.secrets) == 0 {
		log.Warn("calls of routes are not signed (SIGNING_SECRETS is unset)")
	}
	return &Upstreams{client: client, routes: live.Routes, log: log, known: map[policy.Upstream]*service{}}
}

// Stats returns the counters of calls.
func (u *Upstreams) Stats() CallStats { return u.stats.read() }

// Err is nil while no service is known to fail; else it names those, for
// health.
func (u *Upstreams) Err() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tidyLocked()
	var faults []error
	for _, s := range u.known {
		faults = append(faults, s.breaker.Err())
	}
	return errors.Join(faults...)
}

// Call implements router.Upstreams. A call is refused at once, not queued,
// when the service has as many as it may have: each that waits would hold a
// client's message.
func (u *Upstreams) Call(ctx context.Context, to *policy.Upstream, c router.Call) ([]byte, error) {
	s := u.service(*to)
	defer s.running.Add(-1)
	if s.running.Add(1) > int64(to.Concurrency) {
		u.stats.calls[busy].Add(1)
		return nil, errBusy
	}
	u.stats.running.Add(1)
	defer u.stats.running.Add(-1)
	within, cancel := context.WithTimeout(ctx, to.Timeout)
	defer cancel()
	data, how, err := u.guarded(within, s, callBody(c, rand.Text()))
	if how == failed && ctx.Err() != nil {
		how = cancelled
	}
	u.stats.calls[how].Add(1)
	return data, err
}

// guarded makes a call unless the service's breaker is open. What a client can
// bring about with an event of its choice, such as an answer of 500, does not
// open the breaker for the others.
func (u *Upstreams) guarded(ctx context.Context, s *service, body []byte) (data []byte, how outcome, err error) {
	open := s.breaker.Do(func() error {
		var r response
		r, err = u.repeat(ctx, s, body)
		if err == nil {
			data, how, err = judge(r)
			u.say(s, how, r.status, nil)
			return badGateway(r.status)
		}
		cause := err
		how, err = failed, errFailed
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			how, err = late, errLate
		}
		u.say(s, how, 0, cause)
		return cause
	})
	if errors.Is(open, fault.ErrOpen) {
		return nil, breakerOpen, errOpen
	}
	return data, how, err
}

// repeat sends a call, and once more when that is safe: if nothing was sent,
// or if the route says that its events may be sent twice.
func (u *Upstreams) repeat(ctx context.Context, s *service, body []byte) (response, error) {
	for n := 1; ; n++ {
		r, err := u.client.post(ctx, s.to.URL, body, s.to.MaxResponseBytes)
		if n == attempts || !again(s.to.Idempotent, r, err) || pause(ctx, jitter(retryDelay)) != nil {
			return r, err
		}
		u.stats.retries.Add(1)
	}
}

// again tells whether another attempt is of use and safe.
func again(idempotent bool, r response, err error) bool {
	var unsent *dialError
	if errors.As(err, &unsent) {
		return true
	}
	return idempotent && (err != nil || badGateway(r.status) != nil)
}

// errGateway is what the breaker is told of an answer that says that there is
// no service behind.
var errGateway = errors.New("the service is not there")

func badGateway(status int) error {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return errGateway
	}
	return nil
}

// service returns what is known of an upstream.
func (u *Upstreams) service(to policy.Upstream) *service {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tidyLocked()
	s := u.known[to]
	if s == nil {
		s = &service{to: to, breaker: fault.NewBreaker(place(to.URL), fault.BreakerSettings{Log: u.log})}
		u.known[to] = s
	}
	return s
}

// tidyLocked forgets the services that the policy no longer names. Guarded by
// mu.
func (u *Upstreams) tidyLocked() {
	routes := u.routes()
	if routes == u.seen {
		return
	}
	u.seen = routes
	kept := map[policy.Upstream]*service{}
	for _, r := range routes.All() {
		if r.HTTP != nil && u.known[*r.HTTP] != nil {
			kept[*r.HTTP] = u.known[*r.HTTP]
		}
	}
	u.known = kept
}

// say puts into the log that an upstream is not as it should be, now and then.
func (u *Upstreams) say(s *service, how outcome, status int, cause error) {
	if how == answered || how == refused {
		return
	}
	now, last := time.Now().UnixNano(), s.said.Load()
	if last != 0 && now-last < int64(saidEvery) || !s.said.CompareAndSwap(last, now) {
		return
	}
	u.log.Warn("an upstream fails", zap.String("upstream", place(s.to.URL)), zap.String("how", Outcomes()[how]),
		zap.Int("status", status), zap.Error(cause))
}

// place is a URL without what may be secret in it.
func place(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "invalid"
	}
	return u.Scheme + "://" + u.Host + u.Path
}
