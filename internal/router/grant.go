package router

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// In rooms whose rule says "join: ask" the authorizer grants membership, for a
// time or for good. When the time is over it is asked again; what it no longer
// grants ends in room_left.

const (
	// actionJoin is what the authorizer is asked about.
	actionJoin = "join"
	// grantAskers bounds the grants that are asked again at once.
	grantAskers = 32
	// grantLeast is the shortest time between two questions about a grant.
	grantLeast = time.Second
	// grantRetry is the longest time between two attempts to ask again.
	grantRetry = 30 * time.Second
)

// Why a membership ended that the client did not end (room_left).
const (
	leftWithdrawn  = "withdrawn"  // the authorizer or the policy no longer grants it
	leftUnverified = "unverified" // nobody could be asked for as long as AUTH_OUTAGE_GRACE
	leftRemoved    = "removed"    // a backend took the connection out of the room
)

var errNoAuthorizer = wire.NewError(wire.Unavailable, "nobody can be asked about this room now")

// UseAuthorizer says who is asked about rooms whose policy asks. Call it before
// the first session is opened. Without one nobody may join such rooms.
func (r *Router) UseAuthorizer(a auth.Authorizer) { r.authorizer = a }

// authorize asks whether a session may join a room. Guests are not asked
// about: nobody vouched for them.
func (r *Router) authorize(s *session.Session, room string) (auth.Grant, error) {
	id := s.Identity()
	switch {
	case id == nil || id.Guest:
		return auth.Grant{}, nil
	case r.authorizer == nil:
		return auth.Grant{}, errNoAuthorizer
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.AuthDeadline)
	defer cancel()
	r.stats.asked.Add(1)
	g, err := r.authorizer.Authorize(ctx, id, room, actionJoin, s.Peer())
	if err == nil && g.Allowed && !g.Until.IsZero() {
		g.Until = later(g.Until, time.Now().Add(grantLeast))
	}
	return g, err
}

// joinAsked joins a room if the authorizer grants it.
func (r *Router) joinAsked(s *session.Session, id []byte, room string, join func() error) {
	g, err := r.authorize(s, room)
	switch {
	case err != nil:
		r.fail(s, id, err)
		return
	case !g.Allowed:
		r.fail(s, id, errForbidden)
		if old := r.grants.find(s, room); old != nil {
			old.withdraw(leftWithdrawn)
		}
		return
	}
	if err := join(); err != nil {
		r.fail(s, id, err)
		return
	}
	r.grants.put(s, room, g.Until)
	r.tidyGrant(s, room) // a backend may have taken it out meanwhile
}

// tidyGrant forgets the grant of a membership that is over: it would else end
// a later one that needs none.
func (r *Router) tidyGrant(s *session.Session, room string) {
	if !r.hub.Seated(s, room) {
		r.grants.forget(s, room)
	}
}

// grant is a membership that is asked about again.
type grant struct {
	// Immutable.
	grants  *grants
	session *session.Session
	room    string

	timer wheel.Timer

	// Owned by who is about to ask: the wheel, then an asker.
	until time.Time
	at    time.Time // when it is asked again
	tries int       // that failed since until
}

// Expired implements wheel.Task.
func (g *grant) Expired() {
	if time.Until(g.at) > 0 {
		g.sleep()
		return
	}
	g.grants.due(g)
}

// sleep waits for the time to ask again, if the grant is still the one of its
// session and room.
func (g *grant) sleep() {
	after := min(time.Until(g.at), longSleep)
	g.grants.mu.Lock()
	defer g.grants.mu.Unlock()
	if g.grants.currentLocked(g) {
		g.grants.router.wheel.Schedule(&g.timer, after, g)
	}
}

// renew asks again, unless that is idle by now. It may wait.
func (g *grant) renew() {
	r := g.grants.router
	switch {
	case !g.grants.current(g):
	case !r.hub.Seated(g.session, g.room):
		g.grants.drop(g)
	case r.asks(g.room):
		g.decide(r.authorize(g.session, g.room))
	case r.mayJoin(g.session, g.room): // the policy was replaced
		g.grants.drop(g)
	default:
		g.withdraw(leftWithdrawn)
	}
}

// decide goes by the authorizer's answer.
func (g *grant) decide(answer auth.Grant, err error) {
	switch {
	case g.grants.router.ctx.Err() != nil: // shutting down
	case err != nil && !wire.IsCode(err, wire.Unauthenticated):
		g.again()
	case err != nil || !answer.Allowed:
		g.withdraw(leftWithdrawn)
	case answer.Until.IsZero():
		g.grants.drop(g)
	default:
		g.until, g.at, g.tries = answer.Until, answer.Until, 0
		g.sleep()
	}
}

// again tries again later to ask, within the grace.
func (g *grant) again() {
	end := g.until.Add(g.grants.router.cfg.Life.OutageGrace)
	if time.Until(end) <= 0 {
		g.withdraw(leftUnverified)
		return
	}
	delay := min(grantLeast<<min(g.tries, 8), grantRetry)
	delay += time.Duration(rand.Int64N(int64(delay) / 2)) //nolint:gosec // jitter
	g.tries++
	g.at = earlier(time.Now().Add(delay), end)
	g.sleep()
}

// withdraw ends the membership.
func (g *grant) withdraw(reason string) {
	r := g.grants.router
	if g.grants.drop(g) && r.expel(g.session, g.room, reason) {
		r.stats.withdrawn.Add(1)
		r.log.Debug("membership ended", zap.String("connection", g.session.ID()), zap.String("reason", reason))
	}
}

// expel takes a session out of a room and tells the client why; false when it
// was not in it.
func (r *Router) expel(s *session.Session, room, reason string) bool {
	was := r.hub.Expel(s, room, leftEvent(nil, room, reason))
	r.tidyGrant(s, room)
	return was
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
