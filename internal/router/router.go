package router

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Config holds what the router tells clients and how long it waits.
type Config struct {
	Instance     string // this instance's name
	Version      string
	Heartbeat    time.Duration // told to clients as heartbeatMs
	AuthDeadline time.Duration // for the first credential
	PublishWait  time.Duration // how long a publish or a join may wait for the broker
	HistoryLimit int           // most publications in one history reply
	HistoryBytes int           // most bytes of them, about
	Life         LifeConfig    // of identities and grants
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Heartbeat <= 0 {
		c.Heartbeat = 25 * time.Second
	}
	if c.AuthDeadline <= 0 {
		c.AuthDeadline = 10 * time.Second
	}
	if c.PublishWait <= 0 {
		c.PublishWait = 5 * time.Second
	}
	if c.HistoryLimit <= 0 {
		c.HistoryLimit = 1000
	}
	if c.HistoryBytes <= 0 {
		c.HistoryBytes = 512 << 10
	}
	c.Life = c.Life.withDefaults()
	return c
}

// handler handles one kind of request. It returns what Dispatch returns.
type handler func(s *session.Session, req *wire.Request) bool

// Router dispatches requests. Make it with New. Safe for concurrent use.
type Router struct {
	// Immutable after New.
	cfg      Config
	hub      *hub.Hub
	broker   broker.Broker
	local    broker.Local // nil when the broker is elsewhere
	verifier auth.Verifier
	rooms    *policy.Live
	wheel    *wheel.Wheel
	log      *zap.Logger
	faults   *fault.Reporter
	handlers map[string]handler
	ctx      context.Context // ends with Shutdown
	cancel   context.CancelFunc

	upstreams  Upstreams        // set before the first session; nil without any
	streams    Streams          // set before the first session; nil without any
	watcher    Watcher          // set before the first session; nil without one
	authorizer auth.Authorizer  // set before the first session; nil without one
	monitor    *monitor.Monitor // set before the first session; nil without one
	tracer     *tracing.Tracer  // set before the first session; nil without one
	revoked    *revocations
	grants     *grants
	probe      *probe
	publishes  gate
	calls      gate
	pending    atomic.Int64 // sessions without an identity

	mu      sync.Mutex
	closing bool           // guarded by mu
	waiting sync.WaitGroup // requests that wait; Add under mu

	stats counters
}

var _ session.Dispatcher = (*Router)(nil)

// New makes a router. It owns none of its parts.
func New(cfg Config, h *hub.Hub, b broker.Broker, v auth.Verifier, rooms *policy.Live, w *wheel.Wheel, log *zap.Logger) *Router {
	r := &Router{cfg: cfg.withDefaults(), hub: h, broker: b, verifier: v, rooms: rooms, wheel: w, log: log}
	r.faults = fault.NewReporter(log)
	r.local, _ = b.(broker.Local)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.revoked = newRevocations(r.cfg.Life.MaxRevocations, w)
	r.grants = &grants{router: r, of: map[*session.Session][]*grant{}}
	r.probe = newProbe(r)
	r.handlers = map[string]handler{
		wire.EventAuthenticate: r.authenticate,
		wire.EventJoinRoom:     r.joinRoom,
		wire.EventLeaveRoom:    r.leaveRoom,
		wire.EventPublish:      r.publish,
		wire.EventHistory:      r.history,
		wire.EventPresence:     r.presence,
		wire.EventPing:         r.ping,
	}
	return r
}

// UseMonitor says what measures publishes and calls of upstreams. Call it
// before the first session is opened.
func (r *Router) UseMonitor(m *monitor.Monitor) { r.monitor = m }

// UseTracer says what makes spans of publishes and calls of upstreams. Call it
// before the first session is opened.
func (r *Router) UseTracer(t *tracing.Tracer) { r.tracer = t }

// Hold refuses all publishes from now on, as the gateway drains, and returns
// once those under way have been answered by the broker, or with ctx's error.
//
// Calls of upstreams are refused and waited for likewise, but no longer than a
// moment: one that hangs must not keep what was published from its receivers.
func (r *Router) Hold(ctx context.Context) error {
	r.calls.shut.Store(true)
	err := r.publishes.hold(ctx)
	short, cancel := context.WithTimeout(ctx, callHold)
	defer cancel()
	if r.calls.hold(short) != nil {
		r.log.Warn("drain: upstreams have not answered yet", zap.Int64("calls", r.calls.inside.Load()))
	}
	return err
}

// Shutdown ends the requests that wait, and waits for them.
func (r *Router) Shutdown() {
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	r.cancel()
	r.waiting.Wait()
}

// Open starts the session of a new connection.
func (r *Router) Open(c transport.Conn, hello session.Hello) transport.Handler {
	if hello.Identity != nil && r.revoked.has(hello.Identity) {
		hello.Identity, hello.Fault = nil, errRevoked
	}
	s := session.New(c, hello, r)
	r.pending.Add(1)
	r.hub.Add(s)
	switch {
	case hello.Fault != nil:
		r.fail(s, nil, hello.Fault)
		s.Refuse()
		s.Close(closeFor(hello.Fault.Code))
	case hello.Identity != nil:
		since, err := parseSince(hello.Since)
		if err != nil {
			r.fail(s, nil, err)
		}
		r.welcome(s, hello.Identity, since)
	default:
		r.await(s)
	}
	return s
}

// closeFor is how a connection ends whose credential was not accepted. One
// that may be accepted later is not called bad.
func closeFor(code wire.Code) wire.Close {
	row := fault.RowOf(code)
	if !row.Retry() {
		row = fault.RowOf(wire.Unauthenticated)
	}
	return row.Goodbye()
}

// Closed implements session.Dispatcher.
func (r *Router) Closed(s *session.Session, c wire.Close) {
	r.stats.ended(c.Code)
	r.hub.Remove(s)
	if s.Identity() == nil { // and gone, so that it gets none
		r.pending.Add(-1)
	}
	s.CloseAccount()
	r.wheel.Cancel(&s.Timer)
	r.grants.end(s)
	r.gone(s, c)
}

// Refused implements session.Dispatcher.
func (r *Router) Refused(s *session.Session, req *wire.Request, err error) {
	r.stats.requests.Add(1)
	if r.within(s, req) {
		r.fail(s, req.ID, err)
	}
}

// Dispatch implements session.Dispatcher.
func (r *Router) Dispatch(s *session.Session, req *wire.Request) bool {
	r.stats.requests.Add(1)
	if !r.within(s, req) {
		return true
	}
	h := r.handlers[req.Event]
	switch {
	case h == nil && wire.Reserved(req.Event):
		return r.fail(s, req.ID, wire.NewError(wire.Forbidden, "only the gateway sends this event"))
	case s.Identity() == nil && req.Event != wire.EventAuthenticate && req.Event != wire.EventPing:
		return r.fail(s, req.ID, wire.NewError(wire.Unauthenticated, "authenticate first"))
	case h == nil:
		return r.route(s, req)
	}
	return h(s, req)
}

// wait runs a request that may wait. The session receives nothing meanwhile.
func (r *Router) wait(s *session.Session, id []byte, f func()) bool {
	if r.begin(s, f) {
		return false
	}
	return r.fail(s, id, errShutdown)
}

// begin runs f on a goroutine that Shutdown waits for, and lets messages of
// the session come again after it. False, and nothing is run, during Shutdown.
func (r *Router) begin(s *session.Session, f func()) bool {
	return r.spawn(func() {
		f()
		s.Resume()
	})
}

// spawn runs f on a goroutine that Shutdown waits for. False, and nothing is
// run, during Shutdown.
func (r *Router) spawn(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return false
	}
	r.waiting.Go(f)
	return true
}

// soon runs what only a broker elsewhere makes wait.
func (r *Router) soon(s *session.Session, id []byte, f func()) bool {
	if r.local == nil {
		return r.wait(s, id, f)
	}
	f()
	return true
}

// fail tells the client of an error. It returns true: the request is done.
func (r *Router) fail(s *session.Session, id []byte, err error) bool {
	known := r.faults.Report(err, zap.String("connection", s.ID()))
	r.stats.failed(known.Code)
	s.Send(errorEvent(id, known))
	return true
}
