package router

import (
	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Watcher is told of connections with an identity. Its methods must not block
// and may be called with locks held. Safe for concurrent use.
type Watcher interface {
	// Connected tells of a connection that has an identity now; again, with
	// another identity, when a guest becomes a user.
	Connected(connection string, id *auth.Identity)
	// Disconnected tells, once and last, of the end of a connection that
	// Connected has told of.
	Disconnected(connection string, id *auth.Identity, c wire.Close)
}

// UseWatcher says who is told of connections. Call it before the first session
// is opened.
func (r *Router) UseWatcher(w Watcher) { r.watcher = w }

// came tells the watcher of a session's new identity.
func (r *Router) came(s *session.Session, id *auth.Identity) {
	if r.watcher != nil {
		s.Announce(func() { r.watcher.Connected(s.ID(), id) })
	}
}

// gone tells the watcher of the end of a session. The hub has marked it as
// gone, so that nothing is announced after.
func (r *Router) gone(s *session.Session, c wire.Close) {
	if r.watcher != nil && s.Announced() {
		r.watcher.Disconnected(s.ID(), s.Identity(), c)
	}
}
