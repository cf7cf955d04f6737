package fleet

import (
	"cmp"
	"context"
	"encoding/hex"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/router"
)

// Ledger keeps revocations where every instance finds them, also one that
// starts later.
type Ledger interface {
	// Record writes one down. Errors are wire.Errors: LimitExceeded when no
	// more can be kept, Unavailable when it may not have been.
	Record(ctx context.Context, v router.Revocation) error
}

// revocation is a router.Revocation on its way.
type revocation struct {
	User  string `json:"user,omitempty"`
	Token string `json:"token,omitempty"` // the digest in hexadecimal
	Until int64  `json:"until"`           // Unix milliseconds
}

// RevokeUser ends the connections of a user on all instances and refuses all
// the user's credentials until the given time; zero: for REVOCATION_TTL. The
// error is LimitExceeded or Unavailable when other instances may not remember
// it: connections are ended all the same where it arrived.
func (f *Fleet) RevokeUser(ctx context.Context, userID string, until time.Time) (Reached, error) {
	return f.revokeEverywhere(ctx, router.Revocation{User: userID, Until: until})
}

// RevokeToken ends the connections that live by a token, on all instances, and
// refuses it for REVOCATION_TTL. Errors are as with RevokeUser.
func (f *Fleet) RevokeToken(ctx context.Context, token string) (Reached, error) {
	return f.revokeEverywhere(ctx, router.Revocation{Token: auth.NameOf(token)})
}

func (f *Fleet) revokeEverywhere(ctx context.Context, v router.Revocation) (Reached, error) {
	v = f.parts.Router.Dated(v)
	n, err := f.parts.Router.Revoke(v)
	// At the same time: the others do not wait for a ledger that is slow.
	var recorded error
	var recording sync.WaitGroup
	if f.parts.Ledger != nil {
		recording.Go(func() { recorded = f.parts.Ledger.Record(ctx, v) })
	}
	q := revocation{User: v.User, Until: v.Until.UnixMilli()}
	if v.User == "" {
		q.Token = hex.EncodeToString(v.Token[:])
	}
	h := askOthers[outcome](ctx, f, kindRevoke, q)
	recording.Wait()
	if err = cmp.Or(err, recorded); err != nil {
		return Reached{}, err
	}
	return together(append(h.answers, outcome{Connections: n}), h.missing, h.err)
}

// revoke does what another instance was asked to.
func (f *Fleet) revoke(_ context.Context, q revocation) outcome {
	v := router.Revocation{User: q.User, Until: time.UnixMilli(q.Until)}
	if b, err := hex.DecodeString(q.Token); err == nil && len(b) == len(v.Token) {
		v.Token = auth.Digest(b)
	}
	return f.outcomeOf(f.parts.Router.Revoke(v))
}
