package polling

import (
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// abnormal is the end of a session that was cut or lost.
func abnormal(reason string) wire.Close {
	return wire.Close{Code: wire.CloseAbnormal, Reason: reason}
}

// closeLocked begins the end of a session that polls: the poll that waits, or
// the next, gets what is queued and a close packet.
func (e *session) closeLocked(why wire.Close) {
	p := e.polls
	if e.over || p.closing {
		return
	}
	p.closing, p.why = true, why
	e.goOnLocked() // what still comes is thrown away
	e.dropProbeLocked(why)
	e.offerLocked()
	now := e.srv.now()
	p.closeBy = now + e.srv.cfg.CloseTimeout
	e.setDueLocked(now, p.closeBy)
}

// dieLocked ends a session that polls, now. The poll that waits is told.
func (e *session) dieLocked(why wire.Close, say say) {
	if e.over {
		return
	}
	p := e.polls
	e.over, p.queue = true, nil
	if !p.closing {
		p.why = why
	}
	e.stopLocked()
	e.goOnLocked()
	e.dropProbeLocked(why)
	e.chargeLocked(-p.charged)
	p.hangUp(say)
	if p.farewell == nil {
		e.srv.forget(e)
	}
	if p.receiving {
		p.unclosed = true
		return
	}
	e.srv.spawn(e.finish)
}

// hangUp lets the requests under way end. Called with the session's mu held.
func (p *polls) hangUp(say say) {
	if p.waiting != nil {
		p.waiting.tell(say)
	}
	if p.answering != nil && say != sayNoop {
		_ = p.answering.rc.SetWriteDeadline(time.Unix(1, 0)) // wakes its writer
	}
	if p.post != nil && p.post.reading {
		p.post.cut = true
		_ = p.post.rc.SetReadDeadline(time.Unix(1, 0)) // wakes its reader
	}
}

// finish tells the handler that its polling session has ended.
func (e *session) finish() {
	e.mu.Lock()
	why := e.polls.why
	e.mu.Unlock()
	e.handler.Closed(why)
}

// opened is the end of a polling session's making: before it, no Closed may be
// called.
func (e *session) opened() {
	e.mu.Lock()
	unclosed := e.deliveredLocked()
	e.mu.Unlock()
	if unclosed {
		e.finish()
	}
}

// deliveredLocked notes that no message is being delivered any more. True: the
// session has ended meanwhile, and the caller must see to finish.
func (e *session) deliveredLocked() bool {
	p := e.polls
	p.receiving = false
	unclosed := p.unclosed
	p.unclosed = false
	return unclosed
}

// violate ends the session of a client that breaks the protocol.
func (e *session) violate(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.violateLocked(reason)
}

func (e *session) violateLocked(reason string) {
	if e.over {
		return
	}
	e.srv.stats.protocol.Add(1)
	why := wire.Close{Code: wire.CloseProtocolError, Reason: reason}
	if e.ws != nil {
		e.ws.Close(why)
		return
	}
	e.dieLocked(why, sayClose)
}

// goodbye ends the session because its client says so. A poll that was sent
// before the goodbye may arrive after it, on another connection: it is waited
// for, see servePost.
func (e *session) goodbye() {
	e.mu.Lock()
	defer e.mu.Unlock()
	why := wire.Close{Code: wire.CloseNoStatus}
	if e.ws != nil {
		e.ws.Close(why)
		return
	}
	if e.over {
		return
	}
	e.polls.left = true
	if e.polls.waiting == nil {
		e.polls.farewell = make(chan struct{})
	}
	e.dieLocked(why, sayNoop)
}

// Closed implements transport.Handler: the WebSocket that carries the session
// has ended, and the session with it.
func (e *session) Closed(why wire.Close) {
	e.mu.Lock()
	e.over = true
	e.stopLocked()
	if e.lapsed {
		why = abnormal("heartbeat timeout")
	}
	e.mu.Unlock()
	e.srv.forget(e)
	e.handler.Closed(why)
}
