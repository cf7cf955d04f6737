package router

import (
	"time"

	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// What a client is told whose deadline has passed: it presented nothing, or
// nothing that could be verified.
var (
	errLate       = wire.NewError(wire.Unauthenticated, "no credential was presented in time")
	errUnverified = wire.NewError(wire.Unavailable, "no credential could be verified in time")
)

// deadline is the end of the time for a first credential. There is one per
// connection, however often the verifier cannot answer. A verification under
// way at the end is waited for, as long as one may take.
type deadline struct {
	// Immutable.
	router  *Router
	session *session.Session
	end     time.Time
}

// await gives a session without an identity the time for a credential.
func (r *Router) await(s *session.Session) {
	d := &deadline{r, s, time.Now().Add(r.cfg.AuthDeadline)}
	d.sleep(r.cfg.AuthDeadline)
}

// sleep looks again after some time. Under the lock, as Closed cancels once the
// session is gone.
func (d *deadline) sleep(after time.Duration) {
	d.session.While(nil, func() { d.router.wheel.Schedule(&d.session.Timer, after, d) })
}

// Expired implements wheel.Task.
func (d *deadline) Expired() {
	late := errLate
	switch d.session.Refresh() {
	case session.RefreshUnderWay:
		if time.Since(d.end) < d.router.cfg.AuthDeadline {
			d.sleep(refreshPoll)
			return
		}
		late = errUnverified
	case session.RefreshUnverified:
		late = errUnverified
	}
	if d.session.Refuse() {
		d.router.fail(d.session, nil, late)
		d.session.Close(closeFor(late.Code))
	}
}
