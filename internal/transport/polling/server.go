package polling

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/engineio"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// ErrClosed is returned by Accept once the server shuts down.
var ErrClosed = errors.New("engine.io server is shut down")

// errFull is returned by Accept when there are as many polling sessions as may
// be.
var errFull = errors.New("too many polling sessions")

// coarse is the shortest time that the wheel's tick does not blur.
const coarse = 40 * wheel.Tick

// How late a timer may run before the process counts as held up.
const (
	exactLag  = 10 * time.Millisecond
	coarseLag = 3 * wheel.Tick
)

// Server carries Engine.IO sessions. Make it with New; Accept and Continue,
// then Shutdown. Safe for concurrent use.
type Server struct {
	// Immutable after New.
	cfg   Config
	ws    transport.Acceptor
	wheel *wheel.Wheel
	log   *zap.Logger
	birth time.Time
	exact bool          // sessions have timers of their own
	lag   time.Duration // how late a timer may run
	ping  *wire.Frame
	pong  *wire.Frame // the answer to a probe

	budget   budget
	payloads sync.Pool // of *[]byte, for answers
	stats    counters
	quit     chan struct{} // closed when Shutdown begins
	done     chan struct{} // closed when everything has ended

	mu       sync.Mutex
	sessions map[place]*session    // guarded by mu
	polling  map[*session]struct{} // guarded by mu: those that poll
	closing  bool                  // guarded by mu: Shutdown has begun
	ended    bool                  // guarded by mu: no goroutine may start
	helpers  sync.WaitGroup        // requests under way and Closed calls; Add under mu
}

var _ transport.Acceptor = (*Server)(nil)

// New makes a server over a WebSocket transport. cfg was validated; zero values
// stand for the defaults. Neither the transport nor the wheel is owned: the
// caller starts both before, and stops both after the server.
func New(cfg Config, ws transport.Acceptor, w *wheel.Wheel, log *zap.Logger) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg: cfg, ws: ws, wheel: w, log: log, birth: time.Now(), lag: coarseLag,
		ping: packet(engineio.PingPacket), pong: packet(engineio.ProbedPacket),
		quit: make(chan struct{}), done: make(chan struct{}),
		sessions: map[place]*session{}, polling: map[*session]struct{}{},
	}
	s.budget.limit = cfg.MemoryBytes
	if min(cfg.PingInterval, cfg.PingTimeout) < coarse {
		s.exact, s.lag = true, exactLag
	}
	return s
}

// packet is a text packet as a frame.
func packet(text string) *wire.Frame {
	return wire.NewFrame(wire.Text, append(wire.Buffer(len(text)), text...))
}

// Shutdown refuses new sessions, cuts those that are left and waits for
// requests under way and the handlers of polling sessions; those of sessions on
// a WebSocket are waited for by its transport. When ctx ends first it returns
// its error, and the rest ends when the last Receive has returned. Idempotent.
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
		return fmt.Errorf("shut down engine.io server: %w", ctx.Err())
	}
}

func (s *Server) end() {
	defer close(s.done)
	for _, e := range s.all() {
		e.Abort()
	}
	s.mu.Lock()
	s.ended = true // every session is over: nobody needs another goroutine
	s.mu.Unlock()
	s.helpers.Wait()
}

func (s *Server) all() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*session, 0, len(s.sessions))
	for _, e := range s.sessions {
		all = append(all, e)
	}
	return all
}

// enter lets a request in, which Shutdown then waits for; it leaves through
// helpers.Done. False once Shutdown has begun.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.helpers.Add(1)
	return true
}

// spawn runs f on a goroutine that Shutdown waits for.
func (s *Server) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.helpers.Go(f)
	}
}

// add puts a session into the table, and gives it another id when its place is taken.
func (s *Server) add(e *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return ErrClosed
	case e.polls == nil:
	case len(s.polling) >= s.cfg.MaxSessions:
		return errFull
	default:
		s.polling[e] = struct{}{}
	}
	for s.sessions[e.id.place()] != nil {
		e.id = newID()
	}
	s.sessions[e.id.place()] = e
	return nil
}

// settle takes a session that polls no more out of those that do.
func (s *Server) settle(e *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.polling, e)
}

// forget takes a session out of the table.
func (s *Server) forget(e *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[e.id.place()] == e {
		delete(s.sessions, e.id.place())
	}
	delete(s.polling, e)
}

// find returns the session of an id, nil if there is none.
func (s *Server) find(sid string) *session {
	i, ok := s.parse(sid)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.sessions[i.place()]; e != nil && subtle.ConstantTimeCompare(e.id[:], i[:]) == 1 {
		return e
	}
	return nil
}

// now is the time since the server was made, on the monotonic clock; never 0.
func (s *Server) now() time.Duration { return time.Since(s.birth) + 1 }
