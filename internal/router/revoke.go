package router

import (
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

var errRevoked = wire.NewError(wire.Unauthenticated, "the credential was revoked")

// How connections are ended from outside. The owner of a revoked token may
// come back with another one; a revoked user may not, and who was disconnected
// should wait to be asked.
var (
	closeDisconnected = wire.Close{Code: wire.CloseDisconnected, Reason: "disconnected"}
	closeUserRevoked  = wire.Close{Code: wire.CloseDisconnected, Reason: "revoked"}
	closeTokenRevoked = wire.Close{Code: wire.CloseTokenExpired, Reason: "token revoked"}
)

// Disconnect ends a connection; false when this instance has none of that id.
// Nothing keeps the client from coming back.
func (r *Router) Disconnect(connectionID string) bool {
	s := r.hub.Session(connectionID)
	if s == nil {
		return false
	}
	s.Close(closeDisconnected)
	return true
}

// DisconnectUser ends the connections of a user and returns how many they are.
// Nothing keeps the user from coming back.
func (r *Router) DisconnectUser(userID string) int { return r.endUser(userID, closeDisconnected) }

func (r *Router) endUser(userID string, c wire.Close) int {
	all := r.hub.Connections(userID)
	for _, s := range all {
		s.Close(c)
	}
	return len(all)
}

// RevokeUser ends the connections of a user and refuses all the user's
// credentials until the given time; zero: for as long as revocations are
// remembered (REVOCATION_TTL). It returns how many connections it ended. The
// error is LimitExceeded when no more can be remembered: the connections are
// ended all the same.
func (r *Router) RevokeUser(userID string, until time.Time) (int, error) {
	if until.IsZero() {
		until = time.Now().Add(r.cfg.Life.RevocationTTL)
	}
	err := r.revoked.addUser(userID, until) // first: who comes in now finds it
	n := r.endUser(userID, closeUserRevoked)
	r.stats.revoked.Add(int64(n))
	return n, err
}

// RevokeToken ends the connections that live by a token and refuses it for as
// long as revocations are remembered (REVOCATION_TTL). It looks at every
// connection. Result and error are as with RevokeUser.
func (r *Router) RevokeToken(token string) (int, error) {
	name := auth.NameOf(token)
	err := r.revoked.addToken(name, time.Now().Add(r.cfg.Life.RevocationTTL))
	n := 0
	for _, s := range r.hub.Sessions() {
		if id := s.Identity(); id != nil && id.Token == name {
			s.Close(closeTokenRevoked)
			n++
		}
	}
	r.stats.revoked.Add(int64(n))
	return n, err
}

// reject ends a session whose identity was revoked between its verification
// and now. Who revokes looks for sessions after noting it, and who takes an
// identity looks for notes after taking it: one of the two finds the other.
func (r *Router) reject(s *session.Session, identity *auth.Identity) {
	if r.revoked.has(identity) {
		r.stats.revoked.Add(1)
		s.Close(closeFor(errRevoked.Code))
	}
}
