package socketio

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	codec "github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Server holds the connections of Socket.IO clients. Make it with New. Safe for
// concurrent use.
type Server struct {
	// Immutable after New.
	cfg    Config
	codecs map[string]codec.Codec // by namespace
	wheel  *wheel.Wheel
	log    *zap.Logger
	birth  time.Time
	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc

	admission Admission // set before the first connection
	recovery  *recovery // set before the first connection; nil without recovery

	mu      sync.Mutex
	closing bool               // guarded by mu
	working sync.WaitGroup     // of goroutines; Go under mu
	lobby   map[*conn]struct{} // guarded by mu: connections without a socket

	asks                         asks
	waiting, open, sockets       atomic.Int64
	connects, refused, violation atomic.Int64
}

// New makes a server of a valid configuration.
func New(cfg Config, w *wheel.Wheel, log *zap.Logger) *Server {
	s := &Server{cfg: cfg.withDefaults(), codecs: cfg.codecs(), wheel: w, log: log, birth: time.Now(), lobby: map[*conn]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.asks.begin()
	return s
}

// UseAdmission says who decides about CONNECT packets. Call it before the first
// connection.
func (s *Server) UseAdmission(a Admission) { s.admission = a }

// UseRecovery says where sessions are written down that can be recovered, and
// who tells how far their rooms have been delivered (hub.Hub.Places). Nothing is
// written unless the configuration wants recovery; that without this is none.
// Call it before the first connection.
func (s *Server) UseRecovery(store Store, places func(connection string, f func(wire.Place))) {
	if s.cfg.Recovery == 0 {
		return
	}
	r := &recovery{
		store: store, places: places, window: s.cfg.Recovery, log: s.log,
		wake: make(chan struct{}, 1), tracks: map[string]*track{},
	}
	if s.spawn(func() { r.run(s.ctx) }) {
		s.recovery = r
	}
}

// Shutdown ends decisions under way, and waits for the server's goroutines. The
// connections are the transport's, which must have ended before.
func (s *Server) Shutdown() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.cancel()
	s.working.Wait()
}

// spawn runs f on a goroutine that Shutdown waits for. False, and nothing is
// run, during Shutdown.
func (s *Server) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.working.Go(f)
	return true
}

// Open takes over an Engine.IO connection, as transport.Request.Open does. What
// it receives is the data of message packets.
func (s *Server) Open(engine transport.Conn, h Handshake) transport.Handler {
	c := &conn{
		server: s, engine: engine, peer: h.Peer.As16(), account: h.Account,
		assembler: codec.NewAssembler(s.cfg.MaxPacketBytes),
	}
	s.open.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waitLocked()
	c.untilLocked(s.cfg.ConnectTimeout)
	c.term.claim = h.Claim
	return c
}

// enter counts a connection among those without a socket.
func (s *Server) enter(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lobby[c] = struct{}{}
	s.waiting.Store(int64(len(s.lobby)))
}

// leave counts it among them no longer.
func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lobby, c)
	s.waiting.Store(int64(len(s.lobby)))
}

// Waiting counts the connections without a socket, of which no session tells.
func (s *Server) Waiting() int64 { return s.waiting.Load() }

// Dismiss closes the connections without a socket.
func (s *Server) Dismiss(why wire.Close) {
	s.mu.Lock()
	all := make([]*conn, 0, len(s.lobby))
	for c := range s.lobby {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.engine.Close(why)
	}
}

// Stats is a snapshot of a server.
type Stats struct {
	Connections, Waiting, Sockets int64 // now
	Connects, Refused             int64 // CONNECT packets that were admitted, and that were not
	Recovered                     int64 // of those that were admitted: sessions taken up again
	Violations                    int64 // connections that ended for one of the protocol
	Asking                        int64 // questions to clients, now
	Asked, Answered               int64 // questions that were sent, and of these those that were answered
	StrayAcks                     int64 // acknowledgements that nobody waited for
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	recovered := int64(0)
	if s.recovery != nil {
		recovered = s.recovery.recovered.Load()
	}
	return Stats{
		Recovered:   recovered,
		Connections: s.open.Load(), Waiting: s.waiting.Load(), Sockets: s.sockets.Load(),
		Connects: s.connects.Load(), Refused: s.refused.Load(), Violations: s.violation.Load(),
		Asking: s.asks.open.Load(), Asked: s.asks.asked.Load(), Answered: s.asks.answered.Load(), StrayAcks: s.asks.stray.Load(),
	}
}

// now is the time since the server was made, never 0 or less.
func (s *Server) now() time.Duration { return time.Since(s.birth) + 1 }
