package auth

import (
	"context"
	"net/netip"
	"time"
)

// Refreshed is a new token.
type Refreshed struct {
	Token string
	// Next is what to refresh with the next time; empty: the service named
	// nothing.
	Next string
	// ExpiresAt is the end of Token; zero: unknown.
	ExpiresAt time.Time
}

// Refresh changes a token (that of a session, or one to refresh with) for a new
// one. It is asked once and never remembered: services let such a token be used
// a single time. Errors as with Verify.
func (s *Service) Refresh(ctx context.Context, token string, peer netip.Addr) (Refreshed, error) {
	var got Refreshed
	err := s.once(ctx, s.refresh, s.refresh.tokenQuestion(token, peer, false), func(body []byte) error {
		r, err := read(body, time.Now())
		switch {
		case err != nil:
			return err
		case r.refused:
			return errRejected
		}
		got.ExpiresAt = r.expires
		for _, o := range r.top {
			first(&got.Token, o.text("token"), o.text("accessToken"), o.text("access_token"))
			first(&got.Next, o.text("refreshToken"), o.text("refresh_token"))
		}
		if !presentable(got.Token) {
			return outageError{why: "the answer holds no token", well: true}
		}
		if end, err := payload(got.Token).expires(time.Now()); err == nil && got.ExpiresAt.IsZero() {
			got.ExpiresAt = end
		}
		return nil
	}, token)
	if err != nil {
		return Refreshed{}, err
	}
	return got, nil
}

// first sets an empty text to the first of some that is not.
func first(to *string, texts ...string) {
	for _, s := range texts {
		if *to == "" {
			*to = s
		}
	}
}

// UserInfo asks for the present fields of the user of a token. It is never
// remembered. Errors as with Verify.
func (s *Service) UserInfo(ctx context.Context, token string, peer netip.Addr) (Identity, error) {
	var id Identity
	err := s.once(ctx, s.userInfo, s.userInfo.tokenQuestion(token, peer, true), func(body []byte) (err error) {
		id, err = s.identity(body, token)
		return err
	}, token)
	if err != nil {
		return Identity{}, err
	}
	return id, nil
}

// once asks without sharing the call.
func (s *Service) once(ctx context.Context, e *endpoint, q question, read func([]byte) error, token string) error {
	if !presentable(token) {
		return s.count(errRejected)
	}
	if err := s.slots.take(ctx); err != nil {
		return s.count(err)
	}
	defer s.slots.give()
	return s.count(rejection(e.ask(ctx, q, read)))
}
