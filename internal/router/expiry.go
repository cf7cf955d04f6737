package router

import (
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// A connection lasts no longer than its token. Ahead of the end the client is
// told, at the end the connection is closed, unless another token was presented
// meanwhile. When the verifier's service is away at the end, the connection
// stays within the grace; once the service is back the client is told anew.
// That it is away is known from the verifier, from the client's own attempt, or
// from asking: a client that cannot get another token attempts nothing.

const (
	// longSleep bounds how long a timer runs unseen: the wheel does not see
	// when the machine's clock is set.
	longSleep = time.Hour
	// refreshPoll is how often a connection is looked at whose token has run
	// out while another is being verified.
	refreshPoll = 250 * time.Millisecond
	// gracePoll is how often a connection in its grace is looked at, and
	// graceInvite how many looks lie between two wishes for another token: it
	// may be the clients' attempts that find out that the service is back.
	gracePoll   = 5 * time.Second
	graceInvite = 12
)

// stage is what comes next for a connection that ends with its token.
type stage uint8

const (
	stageNotice stage = iota // the client is told
	stageProbe               // the verifier's service is looked for
	stageEnd                 // the connection ends
	stageGrace               // it has outlived its token; the service may be back
)

// expiry is the end of an identity. It costs nothing where there is none: the
// session's timer holds it.
type expiry struct {
	// Immutable.
	router   *Router
	session  *session.Session
	identity *auth.Identity

	// Owned by the wheel's goroutine once scheduled.
	stage stage
	polls uint8     // looks at a connection in its grace
	end   time.Time // of the connection
	at    time.Time // when stage is due
}

// live begins the time of a session's new identity, and ends that of the one
// before.
func (r *Router) live(s *session.Session, old, identity *auth.Identity) {
	if identity.ExpiresAt.IsZero() {
		if old == nil || !old.ExpiresAt.IsZero() { // the deadline, or the old one's end
			s.While(identity, func() { r.wheel.Cancel(&s.Timer) })
		}
		return
	}
	e := &expiry{router: r, session: s, identity: identity}
	e.until(identity.ExpiresAt)
	e.sleep()
}

// until lets the connection last to a time, with a notice before.
func (e *expiry) until(end time.Time) {
	left := time.Until(end)
	// Half the time that is left, at most: a client that gets the same token
	// again must not be told again at once.
	notice := min(e.router.cfg.Life.ExpiryNotice, left/2)
	e.stage, e.end, e.at = stageNotice, end, end.Add(-notice)
	if notice <= 0 {
		e.stage, e.at = stageProbe, end.Add(-probeLead)
	}
}

// sleep waits for what is due, unless the session has another identity or is
// gone: the lock under which that is known keeps the timer for whoever is
// later.
func (e *expiry) sleep() {
	after := min(time.Until(e.at), longSleep)
	e.session.While(e.identity, func() { e.router.wheel.Schedule(&e.session.Timer, after, e) })
}

// Expired implements wheel.Task.
func (e *expiry) Expired() {
	if time.Until(e.at) <= 0 {
		e.step()
	}
	if !e.at.IsZero() {
		e.sleep()
	}
}

// step does what is due, and sets what is next; a zero time for nothing.
func (e *expiry) step() {
	switch {
	case e.stage == stageNotice:
		e.notice()
	case e.stage == stageProbe:
		e.router.probe.start()
		e.stage, e.at = stageEnd, e.end
	case e.waits() && time.Since(e.end) < e.router.cfg.AuthDeadline:
		e.at = time.Now().Add(refreshPoll)
	case e.down() && time.Until(e.graceEnd()) > 0:
		e.outlive()
	case e.stage == stageGrace && time.Until(e.graceEnd()) > 0:
		e.back()
	default:
		e.close()
	}
}

// notice tells the client how long it has, and lets it have that.
func (e *expiry) notice() {
	e.tell()
	e.stage, e.at = stageProbe, e.end.Add(-probeLead)
}

// tell tells the client how long it has.
func (e *expiry) tell() {
	say := event(wire.EventTokenExpiring, nil, struct {
		ExpiresAt int64 `json:"expiresAt"`
	}{e.end.UnixMilli()})
	e.session.While(e.identity, func() { e.session.Send(say) })
}

// graceEnd is the end of the connection at the latest.
func (e *expiry) graceEnd() time.Time { return e.identity.ExpiresAt.Add(e.router.cfg.Life.OutageGrace) }

// waits tells whether what was asked before the end is not answered yet.
func (e *expiry) waits() bool {
	probing, _ := e.router.probe.state()
	return e.session.Refresh() == session.RefreshUnderWay || probing && e.stage == stageEnd
}

// down tells whether the client could not have got another token, or could not
// have got it accepted.
func (e *expiry) down() bool {
	_, gone := e.router.probe.state()
	return gone || e.router.degraded() || e.stage == stageEnd && e.session.Refresh() == session.RefreshUnverified
}

// degraded tells whether the verifier says that it cannot verify now.
func (r *Router) degraded() bool {
	d, ok := r.verifier.(auth.Degraded)
	return ok && d.Degraded() != nil
}

// outlive lets the connection outlive its token.
func (e *expiry) outlive() {
	if e.stage != stageGrace {
		if e.end.Equal(e.identity.ExpiresAt) {
			e.router.stats.graced.Add(1)
			e.router.log.Debug("token ran out while it cannot be renewed", zap.String("connection", e.session.ID()))
		}
		e.stage, e.polls, e.end = stageGrace, 0, e.graceEnd()
	}
	e.router.probe.start()
	if e.polls%graceInvite == 0 {
		e.tell()
	}
	e.polls++
	e.at = earlier(time.Now().Add(gracePoll), e.end)
}

// back gives a client time to present another token, as the service can be
// asked again.
func (e *expiry) back() {
	e.session.SetRefresh(session.RefreshNone)
	e.end = earlier(time.Now().Add(max(e.router.cfg.Life.ExpiryNotice, e.router.cfg.AuthDeadline)), e.graceEnd())
	e.notice()
}

func (e *expiry) close() {
	e.at = time.Time{}
	if e.session.While(e.identity, func() {
		e.session.Close(wire.Close{Code: wire.CloseTokenExpired, Reason: "token expired"})
	}) {
		e.router.stats.expired.Add(1)
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
