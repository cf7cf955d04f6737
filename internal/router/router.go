package router

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
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
	PublishWait  time.Duration // how long a publish may wait for a lagging hand-off
	HistoryLimit int           // most publications in one history reply
	HistoryBytes int           // most bytes of them, about
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
	handlers map[string]handler
	ctx      context.Context // ends with Shutdown
	cancel   context.CancelFunc

	publishes gate

	mu      sync.Mutex
	closing bool           // guarded by mu
	waiting sync.WaitGroup // requests that wait; Add under mu

	stats counters
}

var _ session.Dispatcher = (*Router)(nil)

// New makes a router. It owns none of its parts.
func New(cfg Config, h *hub.Hub, b broker.Broker, v auth.Verifier, rooms *policy.Live, w *wheel.Wheel, log *zap.Logger) *Router {
	r := &Router{cfg: cfg.withDefaults(), hub: h, broker: b, verifier: v, rooms: rooms, wheel: w, log: log}
	r.local, _ = b.(broker.Local)
	r.ctx, r.cancel = context.WithCancel(context.Background())
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

// Hold refuses all publishes from now on, as the gateway drains, and returns
// once those under way have been answered by the broker, or with ctx's error.
func (r *Router) Hold(ctx context.Context) error { return r.publishes.hold(ctx) }

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
	s := session.New(c, hello, r)
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
		r.await(s, wire.NewError(wire.Unauthenticated, "no credential was presented in time"))
	}
	return s
}

// await gives a session without an identity the time for a credential.
func (r *Router) await(s *session.Session, late *wire.Error) {
	r.wheel.Schedule(&s.Timer, r.cfg.AuthDeadline, &deadline{r, s, late})
	if s.Gone() { // Closed cancels, and may have done so before
		r.wheel.Cancel(&s.Timer)
	}
}

// closeFor is how a connection ends whose credential was not accepted. One
// that could not be checked is not called bad.
func closeFor(code wire.Code) wire.Close {
	if code == wire.Unavailable {
		return wire.Close{Code: wire.CloseTryAgainLater, Reason: "unavailable"}
	}
	return wire.Close{Code: wire.CloseUnauthenticated, Reason: "unauthenticated"}
}

// deadline is the end of the time for a first credential.
type deadline struct {
	router  *Router
	session *session.Session
	late    *wire.Error // what the client is told
}

// Expired implements wheel.Task.
func (d *deadline) Expired() {
	if d.session.Refuse() {
		d.router.fail(d.session, nil, d.late)
		d.session.Close(closeFor(d.late.Code))
	}
}

// Closed implements session.Dispatcher.
func (r *Router) Closed(s *session.Session, _ wire.Close) {
	r.hub.Remove(s)
	r.wheel.Cancel(&s.Timer)
}

// Refused implements session.Dispatcher.
func (r *Router) Refused(s *session.Session, req *wire.Request, err error) {
	r.stats.requests.Add(1)
	r.fail(s, req.ID, err)
}

// Dispatch implements session.Dispatcher.
func (r *Router) Dispatch(s *session.Session, req *wire.Request) bool {
	r.stats.requests.Add(1)
	h := r.handlers[req.Event]
	switch {
	case h == nil && wire.Reserved(req.Event):
		return r.fail(s, req.ID, wire.NewError(wire.Forbidden, "only the gateway sends this event"))
	case h == nil:
		return r.fail(s, req.ID, wire.NewError(wire.UnknownEvent, "no route takes this event; publish {room, event, data} sends to a room"))
	case s.Identity() == nil && req.Event != wire.EventAuthenticate && req.Event != wire.EventPing:
		return r.fail(s, req.ID, wire.NewError(wire.Unauthenticated, "authenticate first"))
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
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return false
	}
	r.waiting.Go(func() {
		f()
		s.Resume()
	})
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
	var known *wire.Error
	if !errors.As(err, &known) {
		var state *broker.InsufficientStateError
		if errors.As(err, &state) {
			known = wire.NewError(wire.InsufficientState, "the position cannot be continued from: "+state.Reason)
		} else {
			r.log.Error("request failed", zap.String("connection", s.ID()), zap.Error(err))
			known = wire.NewError(wire.Internal, "internal error")
		}
	}
	r.stats.failed(known.Code)
	s.Send(errorEvent(id, known))
	return true
}
