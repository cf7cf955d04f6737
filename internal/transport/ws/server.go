package ws

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// The modes of Config.Mode.
const (
	ModeAuto      = "auto"
	ModeParked    = "parked"
	ModeGoroutine = "goroutine"
)

// ErrClosed is returned by Accept and Pace once the server shuts down.
var ErrClosed = errors.New("websocket transport is shut down")

// workersPerCore is the number of parked mode's workers: more than cores,
// since a handler may wait for a lagging publish.
const workersPerCore = 4

// Server carries WebSocket connections. Make it with New; Start, then Accept,
// then Shutdown.
type Server struct {
	// Immutable after New.
	cfg      Config
	limits   limits // without compression
	wheel    *wheel.Wheel
	log      *zap.Logger
	birth    time.Time
	poller   *poller // nil in goroutine mode
	flushers []*flusher
	ping     *wire.Frame

	table     table
	queues    queues
	decoders  decoders
	inflaters inflaters
	deflaters deflaters
	batches   batches
	buffers   sync.Pool // of *[]byte, for readers that are no workers
	stats     counters
	budget    budget
	pace      pace

	flushing sync.WaitGroup
	quit     chan struct{} // closed when Shutdown begins
	done     chan struct{} // closed when everything has ended

	mu      sync.Mutex
	started bool           // guarded by mu
	closing bool           // guarded by mu: Shutdown has begun
	ended   bool           // guarded by mu: no goroutine may start
	helpers sync.WaitGroup // readers and writers outside the workers; Add under mu
}

var _ transport.Acceptor = (*Server)(nil)

// New makes a server. It fails on a bad configuration, and where parked mode
// was demanded on a system without it. The wheel is not owned: the caller
// starts it before and stops it after the server.
func New(cfg Config, w *wheel.Wheel, log *zap.Logger) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, limits: cfg.limits(), wheel: w, log: log, birth: time.Now(),
		quit: make(chan struct{}), done: make(chan struct{}), ping: pingFrame(),
	}
	s.budget.limit = cfg.SendBudgetBytes
	s.pace.freed = make(chan struct{})
	for range runtime.GOMAXPROCS(0) {
		s.flushers = append(s.flushers, newFlusher(s))
	}
	if cfg.Mode == ModeParked && !canPark {
		return nil, fmt.Errorf("transport %q: %w", cfg.Mode, errors.ErrUnsupported)
	}
	if cfg.Mode != ModeGoroutine && canPark {
		p, err := newPoller(&s.table, max(8, workersPerCore*runtime.GOMAXPROCS(0)))
		if err != nil {
			return nil, fmt.Errorf("transport %q: %w", cfg.Mode, err)
		}
		s.poller = p
	}
	return s, nil
}

// Mode tells how plain TCP connections are served: ModeParked or
// ModeGoroutine. TLS connections always have a goroutine.
func (s *Server) Mode() string {
	if s.poller != nil {
		return ModeParked
	}
	return ModeGoroutine
}

// Start runs the workers and flushers. Call it once.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.closing {
		return ErrClosed
	}
	s.started = true
	if s.poller == nil {
		return nil
	}
	s.poller.start()
	for _, f := range s.flushers {
		s.flushing.Go(f.run)
	}
	return nil
}

// Shutdown refuses new connections, cuts those that are left and waits for all
// goroutines. When ctx ends first it returns its error, and the rest ends when
// the last Receive has returned. Idempotent.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	s.mu.Unlock()
	if first {
		close(s.quit)
		go s.end() // closes done, which is waited for below
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shut down websocket transport: %w", ctx.Err())
	}
}

// end cuts what is left and waits: readers first, as they may still send, then
// the flushers.
func (s *Server) end() {
	defer close(s.done)
	for _, c := range s.table.close() {
		c.cutNow(abnormal("server shut down"))
	}
	if s.poller != nil {
		s.poller.stop()
	}
	s.mu.Lock()
	s.ended = true // every connection is dead: nobody needs another goroutine
	s.mu.Unlock()
	s.helpers.Wait()
	for _, f := range s.flushers {
		f.stop()
	}
	s.flushing.Wait()
}

// enter lets an Accept in, which Shutdown then waits for; it leaves through
// helpers.Done. False once Shutdown has begun or before Start.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || !s.started {
		return false
	}
	s.helpers.Add(1)
	return true
}

// spawn runs f on a goroutine that Shutdown waits for. It reports false, and
// runs nothing, once every connection is dead.
func (s *Server) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.helpers.Go(f)
	return true
}

// now is the time since the server was made, on the monotonic clock.
func (s *Server) now() time.Duration { return time.Since(s.birth) }
