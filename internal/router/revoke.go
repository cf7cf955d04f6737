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

// Revocation says that a user or a token is refused until some time.
type Revocation struct {
	User  string      // "": the token
	Token auth.Digest // of a token, see auth.NameOf; zero: nobody's
	Until time.Time
}

// Valid tells whether a revocation names a user or a token.
func (v Revocation) Valid() bool { return v.User != "" || v.Token != auth.Digest{} }

// Dated gives a revocation without an end the one that it gets: for as long as
// revocations are remembered (REVOCATION_TTL).
func (r *Router) Dated(v Revocation) Revocation {
	if v.Until.IsZero() {
		v.Until = time.Now().Add(r.cfg.Life.RevocationTTL)
	}
	return v
}

// RevokeUser ends the connections of a user and refuses all the user's
// credentials until the given time; zero: see Dated. Result and error are as
// with Revoke.
func (r *Router) RevokeUser(userID string, until time.Time) (int, error) {
	return r.Revoke(Revocation{User: userID, Until: until})
}

// RevokeToken ends the connections that live by a token and refuses it, as long
// as Dated says. Result and error are as with Revoke.
func (r *Router) RevokeToken(token string) (int, error) {
	return r.Revoke(Revocation{Token: auth.NameOf(token)})
}

// Revoke refuses credentials on this instance from now on and ends the
// connections that live by them. For a token it looks at every connection. It
// returns how many connections it ended. The error is LimitExceeded when no
// more can be remembered: the connections are ended all the same.
func (r *Router) Revoke(all ...Revocation) (int, error) {
	dated := make([]Revocation, 0, len(all))
	for _, v := range all {
		if v.Valid() { // else it would mean everybody without a token
			dated = append(dated, r.Dated(v))
		}
	}
	err := r.revoked.add(dated) // first: who comes in now finds it
	n := 0
	tokens := map[auth.Digest]bool{}
	for _, v := range dated {
		if v.User != "" {
			n += r.endUser(v.User, closeUserRevoked)
		} else {
			tokens[v.Token] = true
		}
	}
	n += r.endTokens(tokens)
	r.stats.revoked.Add(int64(n))
	return n, err
}

// endTokens ends the connections that live by one of some tokens.
func (r *Router) endTokens(tokens map[auth.Digest]bool) int {
	if len(tokens) == 0 {
		return 0
	}
	n := 0
	for _, s := range r.hub.Sessions() {
		if id := s.Identity(); id != nil && tokens[id.Token] {
			s.Close(closeTokenRevoked)
			n++
		}
	}
	return n
}

// Revocations returns what is refused now, in no order.
func (r *Router) Revocations() []Revocation { return r.revoked.all() }

// reject ends a session whose identity was revoked between its verification
// and now. Who revokes looks for sessions after noting it, and who takes an
// identity looks for notes after taking it: one of the two finds the other.
func (r *Router) reject(s *session.Session, identity *auth.Identity) {
	if r.revoked.has(identity) {
		r.stats.revoked.Add(1)
		s.Close(closeFor(errRevoked.Code))
	}
}
