package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// minSecret is the least size of a secret in bytes: that of the hash (RFC 7518,
// section 3.2).
const minSecret = 32

// JWTConfig holds the settings of JSON Web Tokens (RFC 7519).
type JWTConfig struct {
	// Secret is the key of HS256.
	Secret string `env:"AUTH_JWT_SECRET" secret:"true"`
	// JWKSURL is where public keys are (RFC 7517).
	JWKSURL string `env:"AUTH_JWT_JWKS_URL"`
	// Algorithms are those that a token may be signed with; empty: HS256 with a
	// secret; RS256, ES256 and EdDSA with keys from a URL.
	Algorithms []string `env:"AUTH_JWT_ALGORITHMS"`
	// Issuer is what iss must be, and Audience what aud must name one of; empty:
	// anything.
	Issuer   string   `env:"AUTH_JWT_ISSUER"`
	Audience []string `env:"AUTH_JWT_AUDIENCE"`
	// Leeway is how far clocks may be apart.
	Leeway time.Duration `env:"AUTH_JWT_LEEWAY" envDefault:"5s"`
	// UserClaim, ExpiryClaim and IDClaim name the claims of the user's id, of
	// the end in seconds since 1970, and of the token's own id.
	UserClaim   string `env:"AUTH_JWT_USER_CLAIM" envDefault:"sub"`
	ExpiryClaim string `env:"AUTH_JWT_EXPIRY_CLAIM" envDefault:"exp"`
	IDClaim     string `env:"AUTH_JWT_ID_CLAIM" envDefault:"jti"`
}

// keys counts the sources of keys.
func (c JWTConfig) keys() int {
	n := 0
	if c.Secret != "" {
		n++
	}
	if c.JWKSURL != "" {
		n++
	}
	return n
}

// restricts tells whether there are conditions for tokens beside their keys.
func (c JWTConfig) restricts() bool {
	return c.Issuer != "" || len(c.Audience) > 0 || len(c.Algorithms) > 0
}

// algorithms are those in force. They never mix secrets and public keys: who
// can choose between them can sign with a public key.
func (c JWTConfig) algorithms() []string {
	switch {
	case len(c.Algorithms) > 0:
		return c.Algorithms
	case c.Secret != "":
		return []string{"HS256"}
	}
	return []string{"RS256", "ES256", "EdDSA"}
}

// possible are the algorithms that a source of keys can serve.
func (c JWTConfig) possible() []string {
	if c.Secret != "" {
		return []string{"HS256", "HS384", "HS512"}
	}
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

func (c JWTConfig) validate() []error {
	var faults []error
	switch {
	case c.keys() != 1:
		faults = append(faults, errors.New("AUTH_JWT_SECRET or AUTH_JWT_JWKS_URL: AUTH_MODE=jwt needs one of them, and only one"))
	case c.Secret != "" && len(c.Secret) < minSecret:
		faults = append(faults, fmt.Errorf("AUTH_JWT_SECRET: want at least %d bytes", minSecret))
	case c.JWKSURL != "":
		faults = append(faults, address("AUTH_JWT_JWKS_URL", c.JWKSURL)...)
	}
	for _, name := range c.algorithms() {
		if !slices.Contains(c.possible(), name) {
			faults = append(faults, fmt.Errorf("AUTH_JWT_ALGORITHMS %q: want of %s", name, strings.Join(c.possible(), ", ")))
		}
	}
	for name, claim := range map[string]string{
		"AUTH_JWT_USER_CLAIM": c.UserClaim, "AUTH_JWT_EXPIRY_CLAIM": c.ExpiryClaim, "AUTH_JWT_ID_CLAIM": c.IDClaim,
	} {
		if claim == "" {
			faults = append(faults, fmt.Errorf("%s: want the name of a claim", name))
		}
	}
	return append(faults, notNegative("AUTH_JWT_LEEWAY", c.Leeway)...)
}
