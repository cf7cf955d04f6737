package router

import (
	"context"

	"github.com/moonx-farm/ws-gateway/internal/session"
)

// Admits tells whether Open would give a session its identity, and counts its
// account among its user's connections: a dialect that can refuse a client in
// words of its own does so before it opens a session. It returns a *wire.Error
// when Open would not. It may wait for the fleet, within ctx.
func (r *Router) Admits(ctx context.Context, hello session.Hello) error {
	if _, err := parseSince(hello.Since); err != nil {
		return err
	}
	if r.revoked.has(hello.Identity) {
		return errRevoked
	}
	user := hello.Identity.UserID
	if hello.Identity.Guest {
		user = ""
	}
	return hello.Account.Enter(ctx, user)
}
