package auth

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// JWT verifies JSON Web Tokens (RFC 7519) by their signatures. Make it with
// NewJWT, end it with Close. Safe for concurrent use.
type JWT struct {
	// Immutable after NewJWT.
	cfg    JWTConfig
	claims *claimKeeper
	parser *jwt.Parser
	keys   *keySet // nil with a secret
	client *client

	stats counters
}

var (
	_ Verifier = (*JWT)(nil)
	_ Degraded = (*JWT)(nil)
)

// NewJWT makes a verifier with the keys that cfg names. cfg is valid.
func NewJWT(cfg Config, log *zap.Logger) *JWT {
	c := cfg.JWT
	options := []jwt.ParserOption{
		jwt.WithValidMethods(c.algorithms()), // and nothing that a token wishes
		jwt.WithLeeway(c.Leeway), jwt.WithJSONNumber(),
	}
	if c.Issuer != "" {
		options = append(options, jwt.WithIssuer(c.Issuer))
	}
	if len(c.Audience) > 0 {
		options = append(options, jwt.WithAudience(c.Audience...))
	}
	v := &JWT{cfg: c, parser: jwt.NewParser(options...), client: newClient(cfg.HTTP)}
	v.claims = &claimKeeper{only: cfg.Claims, stats: &v.stats, log: log}
	if c.JWKSURL != "" {
		v.keys = newKeySet(c.JWKSURL, v.client, &v.stats, log)
	}
	return v
}

// Start begins to fetch the keys, so that the first client need not wait for
// them. Idempotent.
func (v *JWT) Start() {
	if v.keys != nil {
		v.keys.begin()
	}
}

// Close ends a fetch of keys under way and waits for it.
func (v *JWT) Close() {
	if v.keys != nil {
		v.keys.fetching.close()
	}
	v.client.close()
}

// Stats returns the counters.
func (v *JWT) Stats() Stats {
	if v.keys == nil {
		return v.stats.snapshot()
	}
	return v.stats.snapshot(v.keys.endpoint)
}

// Degraded implements Degraded: the last fetch of keys failed. Tokens of keys
// that are held are verified all the same.
func (v *JWT) Degraded() error {
	if v.keys == nil {
		return nil
	}
	return v.keys.endpoint.breaker.Err()
}

// Verify implements Verifier. It waits only when keys must be fetched, at most
// AUTH_TIMEOUT, and not beyond ctx. The peer plays no part.
func (v *JWT) Verify(ctx context.Context, token string, _ netip.Addr) (Identity, error) {
	id, err := v.verify(ctx, token)
	switch {
	case err == nil:
		v.stats.accepted.Add(1)
	case wire.IsCode(err, wire.Unauthenticated):
		v.stats.rejected.Add(1)
	default:
		v.stats.unavailable.Add(1)
		err = errUnavailable
	}
	return id, err
}

// errKeys says that keys could not be had: nothing is known of the token.
var errKeys = errors.New("no keys to verify with")

func (v *JWT) verify(ctx context.Context, token string) (Identity, error) {
	if !presentable(token) {
		return Identity{}, errRejected
	}
	claims := jwt.MapClaims{}
	_, err := v.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) { return v.key(ctx, t) })
	switch {
	case errors.Is(err, errKeys):
		return Identity{}, errKeys
	case errors.Is(err, jwt.ErrTokenExpired):
		return Identity{}, errExpired
	case err != nil: // it may quote the token
		return Identity{}, errRejected
	}
	return v.identity(token)
}

// key finds what a token's signature is checked with. Its algorithm is one of
// those allowed.
func (v *JWT) key(ctx context.Context, t *jwt.Token) (any, error) {
	if _, found := t.Header["crit"]; found { // extensions that must be understood (RFC 7515, section 4.1.11)
		return nil, errRejected
	}
	if v.keys == nil {
		return []byte(v.cfg.Secret), nil
	}
	name, _ := t.Header["kid"].(string)
	found, err := v.keys.find(ctx, name, t.Method.Alg())
	switch {
	case err != nil:
		return nil, errKeys
	case len(found.Keys) == 0:
		return nil, errRejected
	}
	return found, nil
}

// identity reads the claims of a token that is verified.
func (v *JWT) identity(token string) (Identity, error) {
	claims, now := payload(token), time.Now()
	id := Identity{UserID: claims.id(v.cfg.UserClaim), Token: NameOf(token), TokenID: claims.text(v.cfg.IDClaim)}
	if !ValidUserID(id.UserID) || len(id.TokenID) > MaxTokenID {
		return Identity{}, errRejected
	}
	if raw, found := claims[v.cfg.ExpiryClaim]; found {
		end, err := instant(raw)
		if err != nil {
			return Identity{}, errRejected
		}
		if !end.After(now) { // as the issuer's clock may see it
			end = end.Add(v.cfg.Leeway)
		}
		if !end.After(now) {
			return Identity{}, errExpired
		}
		id.ExpiresAt = end
	}
	v.claims.keep(&id, claims, v.cfg.UserClaim)
	return id, nil
}
