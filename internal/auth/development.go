package auth

import (
	"context"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Development takes a credential as the user id it names: anybody can be
// anybody. It is for development only.
type Development struct{}

var _ Verifier = Development{}

var errUserID = wire.NewError(wire.Unauthenticated,
	`in development the credential is the user id: 1 to 256 bytes of UTF-8 without control characters, not beginning with "guest-"`)

// Verify implements Verifier. It never waits.
func (Development) Verify(_ context.Context, token string, _ netip.Addr) (Identity, error) {
	if !ValidUserID(token) {
		return Identity{}, errUserID
	}
	return Identity{UserID: token, Token: NameOf(token)}, nil
}

// ValidUserID tells whether id may name a user: 1 to MaxUserID bytes of UTF-8
// without control characters, and not the name of a guest.
func ValidUserID(id string) bool {
	return id != "" && len(id) <= MaxUserID && utf8.ValidString(id) &&
		!strings.ContainsFunc(id, unicode.IsControl) && !strings.HasPrefix(id, guestPrefix)
}
