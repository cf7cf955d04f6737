package auth

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// What clients are told. Nothing of it says what the service said.
var (
	errRejected    = wire.NewError(wire.Unauthenticated, "the token is not accepted")
	errExpired     = wire.NewError(wire.Unauthenticated, "the token has expired")
	errUnavailable = wire.NewError(wire.Unavailable, "the token could not be verified now; try again later")
)

// Service is the client of an auth service. Make it with NewService, end it
// with Close. Safe for concurrent use.
type Service struct {
	// Immutable after NewService.
	cfg    HTTPConfig
	claims *claimKeeper
	client *client
	slots  slots

	verify, refresh, userInfo, authorize *endpoint

	verifying *flights[Identity]
	accepted  *cache[Identity]
	rejected  *cache[error] // its own: a flood of bad tokens must not push out good ones

	stats  counters
	silent streak // of verifications
}

var (
	_ Verifier = (*Service)(nil)
	_ Degraded = (*Service)(nil)
)

// NewService makes the client of the service that cfg names. cfg is valid.
func NewService(cfg Config, log *zap.Logger) *Service {
	s := &Service{
		cfg: cfg.HTTP, client: newClient(cfg.HTTP), slots: make(slots, cfg.HTTP.MaxConcurrent),
		accepted: newCache(cfg.HTTP.CacheTTL, cfg.HTTP.CacheBytes, func(id Identity) int {
			return len(id.UserID) + len(id.Claims) + len(id.TokenID)
		}),
		rejected: newCache(cfg.HTTP.CacheRejectedTTL, cfg.HTTP.CacheBytes, func(error) int { return 0 }),
	}
	s.claims = &claimKeeper{only: cfg.Claims, stats: &s.stats, log: log}
	s.verifying = newFlights[Identity](s.slots)
	at := func(name, method, path string) *endpoint {
		return newEndpoint(s.client, name, method, strings.TrimRight(s.cfg.ServiceURL, "/")+path, &s.stats, log)
	}
	s.verify = at(breakerVerify, s.cfg.VerifyMethod, s.cfg.VerifyPath)
	s.refresh = at(breakerRefresh, s.cfg.RefreshMethod, s.cfg.RefreshPath)
	s.userInfo = at(breakerUserInfo, s.cfg.UserInfoMethod, s.cfg.UserInfoPath)
	s.authorize = at(breakerAuthorize, "POST", s.cfg.AuthorizePath)
	return s
}

// Close ends the calls under way and waits for them. Verify then answers
// Unavailable.
func (s *Service) Close() {
	s.verifying.close()
	s.client.close()
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	return s.stats.snapshot(s.verify, s.refresh, s.userInfo, s.authorize)
}

// Degraded implements Degraded, of verifications: the breaker is not closed,
// the last question got no usable answer, or the service answers everybody that
// it cannot say now (429).
func (s *Service) Degraded() error {
	if err := s.verify.breaker.Err(); err != nil {
		return err
	}
	if s.silent.long() {
		return errSilent
	}
	return nil
}

var errSilent = errors.New("the auth service says neither yes nor no")

// Verify implements Verifier. It waits for the service, at most AUTH_TIMEOUT
// once there is a slot for the call, and not beyond ctx. An answer is one about
// the token: it holds for whoever presents it, from any address, until it is
// forgotten.
func (s *Service) Verify(ctx context.Context, token string, peer netip.Addr) (Identity, error) {
	if !presentable(token) {
		s.stats.rejected.Add(1)
		return Identity{}, errRejected
	}
	key := DigestOf(token)
	id, err := s.known(key)
	if !errors.Is(err, errUnknown) {
		s.stats.cached.Add(1)
	} else {
		id, err = s.verifying.do(ctx, key, func(call context.Context) (Identity, error) {
			return s.check(tracing.Carry(call, ctx), key, token, peer)
		})
	}
	return id, s.count(err)
}

// known returns what is remembered of a token, errUnknown when that is nothing.
func (s *Service) known(key Digest) (Identity, error) {
	if id, found := s.accepted.get(key); found {
		return id, nil
	}
	if err, found := s.rejected.get(key); found {
		return Identity{}, err
	}
	return Identity{}, errUnknown
}

var errUnknown = errors.New("nothing is remembered")

// check asks about a token and remembers the answer.
func (s *Service) check(ctx context.Context, key Digest, token string, peer netip.Addr) (Identity, error) {
	if id, err := s.known(key); !errors.Is(err, errUnknown) { // by the call that has ended since the caller looked
		return id, err
	}
	var id Identity
	err := s.verify.ask(ctx, s.verify.tokenQuestion(token, peer, true), func(body []byte) (err error) {
		id, err = s.identity(body, token)
		return err
	})
	err = rejection(err)
	s.silent.count(err)
	switch {
	case err == nil:
		s.accepted.put(key, id, id.ExpiresAt)
	case wire.IsCode(err, wire.Unauthenticated):
		s.rejected.put(key, err, time.Time{})
	}
	return id, err
}

// rejection turns the service's refusal into the client's error.
func rejection(err error) error {
	var refused refusedError
	if errors.As(err, &refused) {
		return errRejected
	}
	return err
}

// count counts the outcome of a verification and makes its error one for
// clients.
func (s *Service) count(err error) error {
	switch {
	case err == nil:
		s.stats.accepted.Add(1)
		return nil
	case wire.IsCode(err, wire.Unauthenticated):
		s.stats.rejected.Add(1)
		return err
	}
	s.stats.unavailable.Add(1)
	return errUnavailable
}

// identity reads the answer about a token.
func (s *Service) identity(body []byte, token string) (Identity, error) {
	now := time.Now()
	r, err := read(body, now)
	switch {
	case err != nil:
		return Identity{}, err
	case r.refused:
		return Identity{}, errRejected
	case r.user == nil:
		return Identity{}, outageError{why: "the answer holds no user", well: true}
	}
	id := Identity{UserID: r.user.id("id"), ExpiresAt: r.expires, Token: NameOf(token)}
	if !ValidUserID(id.UserID) {
		return Identity{}, outageError{why: "the answer's user has no id that the gateway can take", well: true}
	}
	s.fromToken(&id, token)
	if !id.ExpiresAt.IsZero() && !id.ExpiresAt.After(now) {
		return Identity{}, errExpired
	}
	s.claims.keep(&id, r.user, "id")
	return id, nil
}

// fromToken adds what only the token says, if it is a JSON Web Token. The
// service has vouched for it.
func (s *Service) fromToken(id *Identity, token string) {
	claims := payload(token)
	if end, err := claims.expires(time.Now()); err == nil && id.ExpiresAt.IsZero() {
		id.ExpiresAt = end
	}
	if name := claims.text("jti"); len(name) <= MaxTokenID {
		id.TokenID = name
	}
}

// MaxTokenID is the size of Identity.TokenID in bytes at most; longer ones are
// left out.
const MaxTokenID = 256
