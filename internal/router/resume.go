package router

import (
	"context"

	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Resumed is a session that was cut, to be taken up on another connection.
type Resumed struct {
	// Hello has the session's id and an identity.
	Hello session.Hello
	// Rooms are those it was in, its user's room too, and what it has of them.
	Rooms []wire.Place
	// Say answers the client, with the event "connected" behind the answer.
	// What is sent before is missed events. False: the connection has ended, or
	// missed more than it can take.
	Say func(connected *wire.Frame) bool
}

// Resume takes a session up again on a connection that holds back what is sent:
// in all of its rooms, for each of which the policy is asked again, and from all
// of its positions. If one of them cannot be had, it returns false and nothing
// is left of the session; nobody was told of it. It may wait, within ctx.
func (r *Router) Resume(ctx context.Context, c transport.Conn, from Resumed) (transport.Handler, bool) {
	id := from.Hello.Identity
	if id == nil || r.revoked.has(id) {
		return nil, false
	}
	s := session.New(c, from.Hello, r)
	r.hub.Add(s)
	if !s.Identify(nil, id) || !r.reenter(ctx, s, from.Rooms) || !from.Say(s.Codec().Event(r.connectedEvent(s, id))) {
		r.hub.Remove(s)
		r.grants.end(s)
		return nil, false
	}
	r.came(s, id)
	r.live(s, nil, id)
	r.reject(s, id)
	return s, true
}

// reenter puts a session into rooms again.
func (r *Router) reenter(ctx context.Context, s *session.Session, rooms []wire.Place) bool {
	own := false
	for _, p := range rooms {
		if !r.rejoin(ctx, s, p) {
			return false
		}
		own = own || p.Room == s.OwnRoom()
	}
	return own
}

// rejoin joins a room from a position if the policy still lets the session, and
// tells whether nothing is missing.
func (r *Router) rejoin(ctx context.Context, s *session.Session, p wire.Place) bool {
	asks := r.asks(p.Room)
	if !asks && !r.mayJoin(s, p.Room) {
		return false
	}
	if asks {
		g, err := r.authorize(s, p.Room) //nolint:contextcheck // the router bounds it, and ends it at shutdown
		if err != nil || !g.Allowed {
			return false
		}
		defer func() {
			r.grants.put(s, p.Room, g.Until)
			r.tidyGrant(s, p.Room)
		}()
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.PublishWait)
	defer cancel()
	whole, keeps := false, r.keeps(p.Room)
	err := r.hub.Join(ctx, s, p.Room, p.Position, func(j hub.Joined) wire.Event {
		whole = j.Recovered || !j.Asked && !keeps
		return joinedEvent(nil, j, keeps)
	})
	return err == nil && whole
}
