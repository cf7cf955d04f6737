package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/netip"
	"strings"
	"time"
)

// MaxUserID is the longest user id in bytes.
const MaxUserID = 256

// Identity is who a connection speaks for. It is immutable.
type Identity struct {
	UserID string
	// Guest says that nobody vouched for UserID: the gateway made it up.
	Guest bool
	// ExpiresAt is when the credential runs out; zero: never, as far as the
	// gateway knows.
	ExpiresAt time.Time
	// Claims is what else is known of the user, a JSON object of at most
	// MaxClaims bytes, for upstreams and policy; nil when there is nothing.
	// It is shared and never written to.
	Claims json.RawMessage
	// Token is NameOf the credential, for revocation; zero for guests.
	Token Digest
	// TokenID is the token's own name (the claim jti); empty: it has none.
	TokenID string
}

// MaxClaims is the size of Identity.Claims in bytes at most.
const MaxClaims = 4 << 10

// Digest names a token without holding it: the first 16 bytes of its SHA-256.
type Digest [16]byte

// DigestOf gives the name of a text, to the letter.
func DigestOf(text string) Digest {
	sum := sha256.Sum256([]byte(text))
	return Digest(sum[:len(Digest{})])
}

// NameOf gives the name of a token, which it keeps however it is written: the
// signature of a JSON Web Token can be written in several ways, of which each
// holds (unused bits of its last letter; n-s for s in ECDSA), so only what it
// signs counts. It says nothing about whether the token is genuine.
func NameOf(token string) Digest {
	if payload(token) != nil {
		token = token[:strings.LastIndexByte(token, '.')]
	}
	return DigestOf(token)
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

// Authorizer decides about what a policy leaves to somebody else. Safe for
// concurrent use.
type Authorizer interface {
	// Authorize tells whether id, connected from peer, may do action ("join")
	// in a room. A refusal is a Grant that is not Allowed, and no error. The
	// error is a wire.Error with the code Unavailable: nobody could be asked;
	// that is neither a yes nor a no.
	Authorize(ctx context.Context, id *Identity, room, action string, peer netip.Addr) (Grant, error)
}

// Grant is the answer of an Authorizer.
type Grant struct {
	Allowed bool
	// Until is when the answer is to be asked for again; zero: never.
	Until time.Time
}

// Degraded is what a Verifier that depends on an outside service has besides:
// its own view of whether that service can be asked. Safe for concurrent use.
type Degraded interface {
	// Degraded gives nil, or why verifications are Unavailable at present.
	// It asks nobody and never waits.
	Degraded() error
}

// Prober is what a Verifier that depends on an outside service may have
// besides. Safe for concurrent use.
type Prober interface {
	// Probe asks the service whether it is there, and nothing about a token.
	// It waits for the answer, within ctx.
	Probe(ctx context.Context) error
}
