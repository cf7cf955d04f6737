package auth

import (
	"context"
	"crypto/rand"
	"net/netip"
	"time"
)

// MaxUserID is the longest user id in bytes.
const MaxUserID = 256

// Identity is who a connection speaks for. It is immutable.
type Identity struct {
	UserID string
	// Guest says that nobody vouched for UserID: the gateway made it up.
	Guest bool
	// ExpiresAt is when the credential runs out; zero: never.
	ExpiresAt time.Time
}

// Verifier turns a token into an identity. Safe for concurrent use.
//
// Errors are wire.Errors: Unauthenticated for a token that is not accepted,
// Unavailable when that could not be found out. They never hold the token.
type Verifier interface {
	// Verify checks a token that a client at peer presented.
	Verify(ctx context.Context, token string, peer netip.Addr) (Identity, error)
}

// guestPrefix begins every guest id; no user may have such an id.
const guestPrefix = "guest-"

// NewGuest makes an identity for somebody without a credential. Its id is
// random: nobody can guess or choose it.
func NewGuest() Identity {
	return Identity{UserID: guestPrefix + rand.Text()[:20], Guest: true}
}
