package polling

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/engineio"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// session is one Engine.IO session. On a WebSocket its memory is this struct
// and its place in the table; what polling needs stands apart.
type session struct {
	// Immutable once the session is open.
	srv     *Server
	id      id
	handler transport.Handler

	ws     transport.Conn // written under mu, once, before direct is set; nil while polling
	direct atomic.Bool    // ws carries the session: frames need no mu
	state  atomic.Uint32  // working and awaiting
	beats  atomic.Uint32  // pings and their pongs; written under mu, odd while a pong is awaited

	holds  int16 // guarded by mu: Receives that returned false less Resumes
	over   bool  // guarded by mu: the session has ended
	lapsed bool  // guarded by mu: because of its heartbeat

	timer wheel.Timer

	mu    sync.Mutex
	polls *polls      // guarded by mu; nil once ws carries the session
	alarm *time.Timer // guarded by mu: in place of timer where that is too coarse

	// Times since the server's birth. Guarded by mu.
	due  time.Duration // when the timer expires; 0 is never
	beat time.Duration // the deadline of the pong that is awaited; if none is, the next ping is due
}

// Bits of a session's state.
const (
	working  uint32 = 1 << iota // the handler is in Receive
	awaiting                    // a pong is awaited, and its deadline was not put off yet
)

// polls is what a session has while it polls. Guarded by the session's mu.
type polls struct {
	queue     []*wire.Frame
	charged   int   // bytes in the budget: of queue, and of the answer being written
	waiting   *poll // a GET that is held
	answering *poll // a GET whose answer is being written
	post      *post // a POST under way

	coming    int        // WebSockets that are being accepted for the session
	probe     *probe     // a WebSocket that the session may move to
	upgrading bool       // the client wants it now
	closing   bool       // nothing may be queued any more
	left      bool       // the client said goodbye
	why       wire.Close // why it closes, or has ended
	closeBy   time.Duration

	receiving bool          // messages are being delivered, or the handler is being made
	unclosed  bool          // the session has ended meanwhile: who delivers calls Closed
	resumed   chan struct{} // closed when a delivery that waits may go on
	farewell  chan struct{} // closed by a poll that comes a little after the goodbye
}

var (
	_ transport.Conn    = (*session)(nil)
	_ transport.Handler = (*session)(nil)
	_ wheel.Task        = (*session)(nil)
)

// newSession makes a session on a WebSocket, or one that polls if that is nil.
func newSession(s *Server, ws transport.Conn) *session {
	e := &session{srv: s, id: newID(), ws: ws}
	if ws == nil {
		e.polls = &polls{receiving: true}
	}
	e.direct.Store(ws != nil)
	return e
}

// open makes the handler and starts the heartbeat.
func (e *session) open(open func(transport.Conn) transport.Handler) {
	e.srv.stats.opened.Add(1)
	e.handler = open(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.srv.now()
	e.beat = now + e.srv.cfg.PingInterval
	e.setDueLocked(now, e.beat)
}

// Send implements transport.Conn.
func (e *session) Send(f *wire.Frame) bool {
	if e.direct.Load() {
		return e.ws.Send(f)
	}
	return e.sendPolling([]*wire.Frame{f})
}

// SendAll implements transport.Conn.
func (e *session) SendAll(fs []*wire.Frame) bool {
	if e.direct.Load() {
		return e.ws.SendAll(fs)
	}
	return e.sendPolling(fs)
}

func (e *session) sendPolling(fs []*wire.Frame) bool {
	ok := e.queueOrPass(fs)
	e.srv.budget.enforce(e.srv)
	return ok
}

func (e *session) queueOrPass(fs []*wire.Frame) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ws != nil { // it has moved there just now
		return e.ws.SendAll(fs)
	}
	defer e.offerLocked()
	for _, f := range fs {
		if !e.queueLocked(f) {
			return false
		}
	}
	return !e.over && !e.polls.closing
}

// Resume implements transport.Conn.
func (e *session) Resume() {
	e.mu.Lock()
	e.holds--
	if e.owesLocked() { // the pong could not be read
		e.beat = e.srv.now() + e.srv.cfg.PingTimeout
	}
	if e.ws == nil && e.holds <= 0 {
		e.goOnLocked()
	}
	ws := e.ws
	e.mu.Unlock()
	if ws != nil {
		ws.Resume()
	}
}

// goOnLocked lets a delivery that waits go on.
func (e *session) goOnLocked() {
	if p := e.polls; p.resumed != nil {
		close(p.resumed)
		p.resumed = nil
	}
}

// Close implements transport.Conn.
func (e *session) Close(why wire.Close) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ws != nil {
		e.ws.Close(why)
		return
	}
	e.closeLocked(why)
}

// Abort implements transport.Conn.
func (e *session) Abort() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ws != nil {
		e.ws.Abort()
		return
	}
	e.dieLocked(abnormal("aborted"), sayClose)
}

// Receive implements transport.Handler, for the WebSocket below.
func (e *session) Receive(op wire.Op, payload []byte) bool {
	if op == wire.Binary {
		e.heard()
		return e.deliver(op, payload)
	}
	p, err := engineio.Parse(payload)
	if err != nil {
		e.violate("malformed packet")
		return true
	}
	return e.take(p)
}

// take acts on one packet of the client. False: the handler wants to receive
// nothing more until Resume.
func (e *session) take(p engineio.Packet) bool {
	switch p.Type {
	case engineio.Message:
		e.heard()
		if p.Binary {
			return e.deliver(wire.Binary, p.Data)
		}
		return e.deliver(wire.Text, p.Data)
	case engineio.Pong:
		e.pong()
	case engineio.Close:
		e.goodbye()
	case engineio.Noop, engineio.Upgrade:
		e.heard()
	case engineio.Open, engineio.Ping:
		e.violate("unexpected packet")
	}
	return true
}

// deliver gives the handler one message.
func (e *session) deliver(op wire.Op, payload []byte) bool {
	e.state.Or(working)
	ok := e.handler.Receive(op, payload)
	e.state.And(^working)
	if !ok {
		e.mu.Lock()
		e.holds++
		e.mu.Unlock()
	}
	return ok
}
