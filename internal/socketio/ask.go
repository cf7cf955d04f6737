package socketio

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"sync/atomic"

	codec "github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// ErrGone is how a question ends whose socket has ended.
var ErrGone = wire.NewError(wire.Unavailable, "the connection has ended")

var (
	errAsked    = wire.NewError(wire.LimitExceeded, "too many questions to the connection are not answered yet")
	errAskedAll = wire.NewError(wire.LimitExceeded, "too many questions to clients are not answered yet")
	errAskName  = wire.NewError(wire.InvalidMessage, "the Socket.IO protocol reserves the event's name")
)

// reply takes what came of a question, once at most. It is called with locks
// held: it must not block, nor call the socket.
type reply func(data []byte, err error)

// Ask sends the client an event that it is to acknowledge. answered gets what
// the acknowledgement says, see codec.Packet.Answer, or ErrGone as soon as the
// socket ends; it is called once at most, with locks held, and must not block
// nor call the socket. Nobody else ends the question: who asks calls withdraw
// when it has waited long enough, after which answered is not called any more.
//
// Errors are wire.Errors: InvalidMessage, LimitExceeded, and ErrGone.
func (s *socket) Ask(event string, data []byte, answered func(data []byte, err error)) (withdraw func(), err error) {
	if codec.Reserved(event) {
		return nil, errAskName
	}
	id, err := s.question(answered)
	if err != nil {
		return nil, err
	}
	withdraw = func() { s.forget(id) }
	if !s.Send(s.codec.Question(event, data, id)) {
		withdraw()
		return nil, ErrGone
	}
	s.conn.server.asks.asked.Add(1)
	return withdraw, nil
}

// question notes a question and returns its id.
func (s *socket) question(answered reply) (id uint32, err error) {
	c, asks := s.conn, &s.conn.server.asks
	c.mu.Lock()
	defer c.mu.Unlock()
	switch cfg := &c.server.cfg; {
	case s.ended:
		return 0, ErrGone
	case len(s.asks) >= cfg.MaxAsks:
		return 0, errAsked
	case asks.open.Load() >= int64(cfg.MaxAllAsks): // by about as many as ask at once more
		return 0, errAskedAll
	}
	if s.asks == nil {
		s.asks = map[uint32]reply{}
	}
	for id = asks.id(); s.asks[id] != nil; {
		id = asks.id()
	}
	s.asks[id] = answered
	asks.open.Add(1)
	return id, nil
}

// forget ends a question, unless it has ended.
func (s *socket) forget(id uint32) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.endAskLocked(id)
}

// endAskLocked ends a question and returns who waits for the answer, nil when
// nobody does.
func (s *socket) endAskLocked(id uint32) reply {
	answered := s.asks[id]
	if answered == nil {
		return nil
	}
	delete(s.asks, id)
	if len(s.asks) == 0 {
		s.asks = nil // most sockets are never asked again
	}
	s.conn.server.asks.open.Add(-1)
	return answered
}

// goneLocked ends all questions of a socket that has ended.
func (s *socket) goneLocked() {
	for id := range s.asks {
		if answered := s.endAskLocked(id); answered != nil {
			answered(nil, ErrGone)
		}
	}
}

// ack takes an acknowledgement. One that nobody waits for is dropped: it is
// late, or of a connection that the client had before.
func (c *conn) ack(p codec.Packet) bool {
	if c.account.Take(limit.Message) == limit.End {
		c.engine.Close(closeFlood)
		return true
	}
	s := c.find(p)
	if err := p.Check(); err != nil || s == nil {
		c.violate(errState)
		return true
	}
	data, err := p.Answer()
	if err != nil {
		c.violate(err)
		return true
	}
	s.answer(p.AckID(), data)
	return true
}

// answer gives an answer to who waits for it.
func (s *socket) answer(id uint64, data []byte) {
	asks := &s.conn.server.asks
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	var answered reply
	if id <= math.MaxUint32 {
		answered = s.endAskLocked(uint32(id))
	}
	if answered == nil {
		asks.stray.Add(1)
		return
	}
	asks.answered.Add(1)
	answered(data, nil)
}

// asks are the questions of a server.
type asks struct {
	open                   atomic.Int64 // now
	asked, answered, stray atomic.Int64 // stray: acknowledgements that nobody waited for
	last                   atomic.Uint32
}

// begin begins to number at random: a client that was asked by another process
// may answer this one, when it has come over meanwhile.
func (a *asks) begin() {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	a.last.Store(binary.LittleEndian.Uint32(b[:]))
}

// id is the id of a new question. It fits 31 bits, which all client libraries
// can count in.
func (a *asks) id() uint32 { return a.last.Add(1) & math.MaxInt32 }
