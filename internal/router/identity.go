package router

import (
	"bytes"
	"context"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// authenticate handles "authenticate {token, since?}".
func (r *Router) authenticate(s *session.Session, req *wire.Request) bool {
	var token string
	var rawSince []byte
	err := fields(req.Data, func(key string, value []byte) error {
		switch key {
		case "token":
			return text(value, &token)
		case "since":
			rawSince = value
			return nil
		}
		return errUnknownField
	})
	if err == nil && token == "" {
		err = wire.NewError(wire.InvalidMessage, `authenticate wants {"token": …}`)
	}
	since, sinceErr := parseSince(rawSince)
	if err == nil {
		err = sinceErr
	}
	id := bytes.Clone(req.ID)
	if err != nil {
		return r.fail(s, id, err)
	}
	return r.wait(s, id, func() { r.verify(s, id, token, since) })
}

// verify checks a token and gives the session the identity that it proves.
func (r *Router) verify(s *session.Session, id []byte, token string, since positions) {
	old := s.Identity()
	s.SetRefresh(session.RefreshUnderWay)
	identity, err := r.prove(s, token)
	defer func() { s.SetRefresh(refreshed(err)) }() // after the new identity: until then it is under way
	switch {
	case err != nil:
		r.fail(s, id, err)
		if old == nil && wire.IsCode(err, wire.Unauthenticated) && s.Refuse() {
			s.Close(closeFor(wire.Unauthenticated)) // else it may try again, within its deadline
		}
	case old == nil:
		r.welcome(s, identity, since, authenticatedEvent(id, identity))
	case old.UserID == identity.UserID:
		r.renew(s, old, identity, authenticatedEvent(id, identity))
	case mayBecome(s, old):
		r.hub.Leave(s, s.OwnRoom())
		r.welcome(s, identity, since, authenticatedEvent(id, identity))
	default:
		r.fail(s, id, wire.NewError(wire.Forbidden, "the connection belongs to another user; open another one"))
	}
}

// mayBecome tells whether a session may become another user's: a guest's that
// has joined nothing, on a connection that nobody else has a session on.
func mayBecome(s *session.Session, old *auth.Identity) bool {
	return old.Guest && s.Seats() <= 1 && s.Alone()
}

// prove returns the identity that a token proves, unless it was revoked.
func (r *Router) prove(s *session.Session, token string) (*auth.Identity, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.AuthDeadline)
	defer cancel()
	identity, err := r.verifier.Verify(ctx, token, s.Peer())
	if err == nil && r.revoked.has(&identity) {
		err = errRevoked
	}
	return &identity, err
}

// refreshed is how a wish to renew a credential ended.
func refreshed(err error) session.Refresh {
	if err != nil && !wire.IsCode(err, wire.Unauthenticated) {
		return session.RefreshUnverified
	}
	return session.RefreshNone
}

// renew gives a session its user's new identity. Rooms, presence and what is
// under way stay as they are.
func (r *Router) renew(s *session.Session, old, identity *auth.Identity, say wire.Event) {
	if s.Identify(old, identity, say) {
		r.live(s, old, identity)
		r.reject(s, identity)
	}
}

// welcome gives a session its identity and its user's room, behind what the
// client is told first.
func (r *Router) welcome(s *session.Session, identity *auth.Identity, since positions, first ...wire.Event) {
	if !r.counts(s, identity) {
		return
	}
	old := s.Identity()
	if !s.Identify(old, identity, append(first, r.connectedEvent(s, identity))...) {
		return
	}
	if old == nil {
		r.pending.Add(-1)
	}
	r.came(s, identity)
	r.live(s, old, identity)
	room := s.OwnRoom()
	err := r.join(s, room, since[room], nil)
	if err != nil {
		// Without its room a session would lose what is sent to its user.
		r.log.Warn("user room not joined", zap.String("connection", s.ID()), zap.Error(err))
		s.Close(wire.Close{Code: wire.CloseTryAgainLater, Reason: "unavailable"})
	}
	r.reject(s, identity)
}
