package polling

import "time"

// One timer per session serves all its deadlines: it is set to the nearest, and
// what is due is judged when it expires. Packets move no timer; they only note
// times.

// setDueLocked makes sure that the timer expires at the given time or before.
func (e *session) setDueLocked(now, at time.Duration) {
	if e.over || e.due != 0 && e.due <= at {
		return
	}
	e.due = at
	switch {
	case !e.srv.exact:
		e.srv.wheel.Schedule(&e.timer, at-now, e)
	case e.alarm == nil:
		e.alarm = time.AfterFunc(at-now, e.alarmed)
	default:
		e.alarm.Reset(at - now)
	}
}

// stopLocked stops the timer.
func (e *session) stopLocked() {
	if e.alarm != nil {
		e.alarm.Stop()
	} else if !e.srv.exact {
		e.srv.wheel.Cancel(&e.timer)
	}
}

// owesLocked tells whether the client owes a pong.
func (e *session) owesLocked() bool { return e.beats.Load()%2 == 1 }

// alarmed is Expired on a timer of the session's own.
func (e *session) alarmed() {
	if e.srv.enter() {
		defer e.srv.helpers.Done()
		e.Expired()
	}
}

// Expired implements wheel.Task.
func (e *session) Expired() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	now := e.srv.now()
	if late := now - e.due; e.due != 0 && late > e.srv.lag {
		e.forgiveLocked(now, late)
	}
	e.due = 0
	e.judgeLocked(now)
	if !e.over {
		e.setDueLocked(now, e.nextLocked())
	}
}

// forgiveLocked puts a pong's deadline off when the process was held up: the
// pong may be there, unread. A ping that no poll has fetched needs no pardon.
func (e *session) forgiveLocked(now, late time.Duration) {
	if e.owesLocked() && (e.polls == nil || len(e.polls.queue) == 0) {
		e.beat = max(e.beat, now+min(late, e.srv.cfg.PingTimeout))
	}
}

// judgeLocked acts on deadlines that have passed.
func (e *session) judgeLocked(now time.Duration) {
	if e.over || e.polls != nil && e.judgePollsLocked(now) {
		return
	}
	if !e.owesLocked() && now >= e.beat {
		e.pingLocked(now)
	}
	if e.owesLocked() && now >= e.beat {
		e.lapseLocked(now)
	}
}

// lapseLocked ends the session of a client that owes a pong, unless the pong
// cannot be read.
func (e *session) lapseLocked(now time.Duration) {
	if e.state.Load()&working != 0 || e.holds > 0 {
		e.beat = now + e.srv.cfg.PingTimeout
		return
	}
	e.srv.stats.heartbeat.Add(1)
	if e.ws != nil {
		e.lapsed = true
		e.ws.Abort()
		return
	}
	e.dieLocked(abnormal("heartbeat timeout"), sayClose)
}

// judgePollsLocked judges what only polling sessions have. True: nothing else
// matters.
func (e *session) judgePollsLocked(now time.Duration) bool {
	p := e.polls
	if p.closing {
		if now >= p.closeBy {
			e.dieLocked(p.why, sayClose)
		}
		return true
	}
	if p.probe != nil && now >= p.probe.by {
		e.dropProbeLocked(abnormal("upgrade timeout"))
	}
	return false
}

// pingLocked sends a ping. One that nobody waits for counts from when it was
// due, not from when the timer came round to it.
func (e *session) pingLocked(now time.Duration) {
	from := now
	e.beats.Add(1) // before what follows the ping is queued
	if e.ws != nil {
		e.ws.Send(e.srv.ping)
	} else {
		if e.polls.waiting == nil {
			from = e.beat
		}
		e.queueLocked(e.srv.ping)
		e.offerLocked()
	}
	e.beat = from + e.srv.cfg.PingTimeout
	e.state.Or(awaiting)
}

// nextLocked is the nearest deadline.
func (e *session) nextLocked() time.Duration {
	next := e.beat
	p := e.polls
	switch {
	case p == nil:
	case p.closing:
		next = p.closeBy
	case p.probe != nil:
		next = min(next, p.probe.by)
	}
	return next
}

// pong notes that the client is there.
func (e *session) pong() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.owesLocked() {
		e.beats.Add(1)
	}
	e.state.And(^awaiting)
	now := e.srv.now()
	e.beat = now + e.srv.cfg.PingInterval
	e.setDueLocked(now, e.beat) // the timer is at the pong's deadline, which may be later
}

// heard notes any other packet: while a pong is awaited it puts its deadline
// off, once.
func (e *session) heard() {
	if e.state.Load()&awaiting == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state.And(^awaiting)&awaiting != 0 && e.owesLocked() {
		e.beat = e.srv.now() + e.srv.cfg.PingTimeout
	}
}

// Heartbeats counts the pings that were sent, and of them those that the client
// has answered: it has got everything that was sent before those.
func (e *session) Heartbeats() (sent, answered uint32) {
	n := e.beats.Load()
	return (n + 1) / 2, n / 2
}
