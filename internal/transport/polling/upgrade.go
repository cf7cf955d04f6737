package polling

import (
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/engineio"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// probe is a WebSocket that a polling session may move to, and its handler
// ever after.
type probe struct {
	session *session       // immutable
	conn    transport.Conn // immutable
	taken   atomic.Bool    // the session lives on it; set under the session's mu

	// Guarded by the session's mu.
	by       time.Duration // when the upgrade must be done
	answered bool          // the client's probe was answered
	held     bool          // nothing is received until the upgrade is done
}

var _ transport.Handler = (*probe)(nil)

// probe accepts a WebSocket for a session. One that the session cannot move to
// is closed: the protocol has no answer for it.
func (s *Server) probe(w http.ResponseWriter, r *http.Request, e *session) {
	if !e.expect(1) {
		s.Refuse(w, engineio.SessionUnknown, "")
		return
	}
	defer e.expect(-1)
	err := s.ws.Accept(transport.Request{W: w, R: r, OwnHeartbeat: true, Open: e.openProbe})
	if err != nil { // the client was told why; the reason may quote its headers
		s.stats.refused.Add(1)
		s.log.Debug("websocket for an engine.io session failed", zap.String("peer", r.RemoteAddr))
	}
}

// expect counts the WebSockets that are being accepted. Their clients know of
// the upgrade before openProbe does. False: the session has ended.
func (e *session) expect(n int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.polls != nil {
		e.polls.coming += n
	}
	return !e.over
}

func (e *session) openProbe(c transport.Conn) transport.Handler {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.polls
	if e.over || p == nil || p.closing || p.probe != nil {
		e.srv.stats.unupgraded.Add(1)
		c.Close(wire.Close{Code: wire.ClosePolicyViolation, Reason: "the session takes no other transport"})
		return nobody{}
	}
	now := e.srv.now()
	p.probe = &probe{session: e, conn: c, by: now + e.srv.cfg.UpgradeTimeout}
	e.setDueLocked(now, p.probe.by)
	return p.probe
}

// Receive implements transport.Handler.
func (b *probe) Receive(op wire.Op, payload []byte) bool {
	if b.taken.Load() {
		return b.session.Receive(op, payload)
	}
	return b.session.probed(b, op, string(payload))
}

// Closed implements transport.Handler.
func (b *probe) Closed(why wire.Close) {
	if b.session.loseProbe(b) {
		b.session.Closed(why)
	}
}

// probed acts on a message of a WebSocket that does not carry the session yet.
func (e *session) probed(b *probe, op wire.Op, message string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.polls
	switch {
	case p == nil || p.probe != b: // it was closed already
		return true
	case op == wire.Text && message == engineio.ProbePacket:
		b.answered = true
		b.conn.Send(e.srv.pong)
		if p.waiting != nil && !p.waiting.late { // else await sees to it
			p.waiting.tell(sayNoop)
		}
		return true
	case op == wire.Text && message == engineio.UpgradePacket:
		p.upgrading = true
		e.upgradeLocked()
		b.held = !b.taken.Load()
		return !b.held
	}
	e.dropProbeLocked(wire.Close{Code: wire.CloseProtocolError, Reason: "unexpected packet before the upgrade"})
	return true
}

// upgradeLocked moves the session to the WebSocket that was probed, if its
// client wants that and no request of it is under way: what such a request
// brings, or fails to take, comes first.
func (e *session) upgradeLocked() {
	p := e.polls
	if e.over || p == nil || !p.mayUpgrade() {
		return
	}
	b := p.probe
	b.taken.Store(true)
	e.ws, e.polls = b.conn, nil
	e.srv.budget.release(p.charged)
	e.srv.settle(e)
	e.srv.stats.upgraded.Add(1)
	if g := p.waiting; g != nil {
		if g.late { // it came when the client must not poll any more
			g.tell(sayRefuse)
		}
		g.tell(sayNoop)
	}
	if e.owesLocked() { // the ping may be in the queue
		e.beat = e.srv.now() + e.srv.cfg.PingTimeout
	}
	e.ws.SendAll(p.queue)
	e.direct.Store(true)
	if b.held {
		b.conn.Resume()
	}
}

func (p *polls) mayUpgrade() bool { return p.upgrading && p.post == nil && p.answering == nil }

// dropProbeLocked gives a WebSocket up that does not carry the session.
func (e *session) dropProbeLocked(why wire.Close) {
	p := e.polls
	if p.probe == nil {
		return
	}
	e.srv.stats.unupgraded.Add(1)
	p.probe.conn.Close(why)
	p.probe, p.upgrading = nil, false
}

// loseProbe notes that a WebSocket has ended. True: it carried the session.
func (e *session) loseProbe(b *probe) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if b.taken.Load() {
		return true
	}
	if p := e.polls; p != nil && p.probe == b {
		e.srv.stats.unupgraded.Add(1)
		p.probe, p.upgrading = nil, false
	}
	return false
}
