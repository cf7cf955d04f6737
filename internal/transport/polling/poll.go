package polling

import (
	"errors"
	"net/http"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/engineio"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// say is what a GET is answered with.
type say uint8

const (
	sayQueue  say = iota // what is queued
	sayNoop              // what is queued, else that there is nothing
	sayClose             // that the session has ended
	sayRefuse            // that the session does not poll any more
)

// probeDelay is how long a poll that came after the WebSocket of an upgrade
// waits before it is ended for the upgrade: the client's upgrade packet may have
// been sent before it, on that other connection. The reference looks as often.
const probeDelay = 100 * time.Millisecond

// poll is one GET of a session.
type poll struct {
	rc   *http.ResponseController
	wake chan struct{} // closed once it was told what to say

	// Guarded by the session's mu.
	told bool
	say  say
	late bool // it came after the WebSocket of an upgrade
	size int  // bytes of the frames that it took
	last bool // it ends the session
}

// tell lets a poll be answered; the first decides. Called with the session's mu
// held.
func (g *poll) tell(say say) {
	if !g.told {
		g.told, g.say = true, say
		close(g.wake)
	}
}

// offerLocked answers the poll that waits, if there is something to say and no
// answer is on its way.
func (e *session) offerLocked() {
	if p := e.polls; p.waiting != nil && p.answering == nil && (len(p.queue) > 0 || p.closing) {
		p.waiting.tell(sayQueue)
	}
}

// servePoll holds a GET until there is something to say, and answers it.
func (e *session) servePoll(w http.ResponseWriter, r *http.Request) {
	g := &poll{rc: http.NewResponseController(w), wake: make(chan struct{})}
	if code, ok := e.hold(g); !ok {
		e.srv.Refuse(w, code, "")
		return
	}
	_ = g.rc.SetReadDeadline(time.Time{}) // a server's bound is not meant for a poll
	e.await(g, r)
	a := e.answer(g)
	if a.refused {
		e.srv.Refuse(w, engineio.BadRequest, "")
		return
	}
	sent := e.write(w, r, g, a)
	e.answered(g, sent)
	_ = g.rc.SetWriteDeadline(time.Time{}) // the HTTP connection lives on
}

// hold makes g the poll that waits.
func (e *session) hold(g *poll) (engineio.ErrorCode, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.judgeLocked(e.srv.now())
	p := e.polls
	switch {
	case p == nil:
		return engineio.BadRequest, false
	case e.over && p.farewell != nil:
		close(p.farewell)
		p.farewell = nil
		e.srv.forget(e)
		g.tell(sayNoop)
		return 0, true
	case e.over:
		return engineio.SessionUnknown, false
	case p.waiting != nil:
		e.violateLocked("concurrent polls")
		return engineio.BadRequest, false
	}
	p.waiting = g
	g.late = p.probe != nil || p.coming > 0
	e.offerLocked()
	return 0, true
}

// await waits until g was told what to say.
func (e *session) await(g *poll, r *http.Request) {
	var look <-chan time.Time
	if g.late { // written once, in hold
		t := time.NewTicker(probeDelay)
		defer t.Stop()
		look = t.C
	}
	for {
		select {
		case <-g.wake:
			return
		case <-look:
			if e.yields(g) {
				return
			}
		case <-r.Context().Done():
			e.mu.Lock()
			g.tell(sayClose)
			e.lostLocked("poll aborted")
			e.mu.Unlock()
			return
		}
	}
}

// yields ends a poll for the upgrade that was begun before it. An upgrade that
// was given up is no reason.
func (e *session) yields(g *poll) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.polls; p != nil && (p.probe == nil || !p.probe.answered) {
		return false
	}
	g.tell(sayNoop)
	return true
}

// lostLocked ends a polling session whose client is gone in the middle of a
// request.
func (e *session) lostLocked(reason string) {
	if e.polls != nil {
		e.dieLocked(abnormal(reason), sayClose)
	}
}

// answer is what a poll says.
type answer struct {
	frames  []*wire.Frame
	packet  string // behind them, "" for none
	refused bool
}

// answer takes what g says. It is the one that is being answered from now on.
func (e *session) answer(g *poll) answer {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.polls
	switch {
	case g.say == sayRefuse:
		return answer{refused: true}
	case p == nil: // its frames went to the WebSocket
		return answer{packet: engineio.NoopPacket}
	case p.waiting == g:
		p.waiting = nil
	}
	if e.over {
		if g.say == sayNoop {
			return answer{packet: engineio.NoopPacket}
		}
		return answer{packet: engineio.ClosePacket}
	}
	return e.takeLocked(g)
}

// takeLocked takes the queue.
func (e *session) takeLocked(g *poll) answer {
	p := e.polls
	if p.answering != nil { // ended for an upgrade before it was its turn
		return answer{packet: engineio.NoopPacket}
	}
	a := answer{frames: p.queue}
	p.answering, p.queue, g.size = g, nil, p.charged
	switch {
	case p.closing:
		a.packet, g.last = engineio.ClosePacket, true
	case len(a.frames) == 0:
		a.packet = engineio.NoopPacket
	}
	return a
}

// write writes an answer. True: the kernel has all of it. Whether the client
// has hung up is asked before: behind it, a client that has read everything may
// have closed the connection.
func (e *session) write(w http.ResponseWriter, r *http.Request, g *poll, a answer) bool {
	if r.Context().Err() != nil {
		return false
	}
	buf, ok := e.srv.payloads.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	body := (*buf)[:0]
	for _, f := range a.frames {
		if f.Op == wire.Text {
			body = engineio.AppendText(body, f.Payload())
		} else {
			body = engineio.AppendBinary(body, f.Payload())
		}
	}
	if a.packet != "" {
		body = engineio.AppendText(body, []byte(a.packet))
	}
	e.srv.stats.polls.Add(1)
	e.srv.stats.out.Add(int64(len(a.frames)))
	_ = g.rc.SetWriteDeadline(time.Now().Add(e.srv.cfg.WriteTimeout))
	reply(w, http.StatusOK, payloadType, body)
	err := g.rc.Flush()
	if cap(body) <= keptPayload {
		*buf = body
		e.srv.payloads.Put(buf)
	}
	return err == nil || errors.Is(err, http.ErrNotSupported)
}

// keptPayload is the largest buffer that is kept for the next answer.
const keptPayload = 64 << 10

// answered goes on once an answer was written.
func (e *session) answered(g *poll, sent bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.polls
	if p == nil || p.answering != g {
		return
	}
	p.answering = nil
	if e.over {
		return
	}
	e.chargeLocked(-g.size)
	switch {
	case !sent:
		e.lostLocked("poll aborted")
	case g.last:
		e.dieLocked(p.why, sayClose)
	default:
		e.offerLocked()
		e.upgradeLocked()
	}
}
