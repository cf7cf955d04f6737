package router

import (
	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

var errTooFast = wire.NewError(wire.RateLimited, "more messages than the connection or its user may send: slow down")

// within tells whether a session may send one more message. Else the client is
// told, or disconnected when it goes on all the same.
func (r *Router) within(s *session.Session, req *wire.Request) bool {
	kind := limit.Message
	if req.Event == wire.EventJoinRoom {
		kind = limit.Join
	}
	verdict := s.Account().Take(kind)
	if verdict == limit.Pass {
		return true
	}
	r.fail(s, req.ID, errTooFast)
	if verdict == limit.End {
		s.Close(fault.RowOf(wire.RateLimited).Goodbye())
	}
	return false
}

// counts counts a session among those of its user to be. False, and the
// session ends, when the user has as many as one may.
func (r *Router) counts(s *session.Session, identity *auth.Identity) bool {
	user := identity.UserID
	if identity.Guest {
		user = ""
	}
	err := s.Account().Enter(r.ctx, user)
	if err == nil {
		return true
	}
	r.fail(s, nil, err)
	s.Refuse()
	s.Close(fault.RowOf(wire.LimitExceeded).Goodbye())
	return false
}

// Pending counts the sessions that nobody has authenticated on yet.
func (r *Router) Pending() int64 { return r.pending.Load() }
