package monitor

import (
	"context"
	"net/netip"

	"github.com/moonx-farm/ws-gateway/internal/auth"
)

// verifier measures another one.
type verifier struct {
	auth.Verifier
	m *Monitor
}

// Verifier measures the verifications of v.
func (m *Monitor) Verifier(v auth.Verifier) auth.Verifier { return verifier{v, m} }

// Verify implements auth.Verifier.
func (v verifier) Verify(ctx context.Context, token string, peer netip.Addr) (auth.Identity, error) {
	span := v.m.Begin(Authenticate)
	defer span.End()
	return v.Verifier.Verify(ctx, token, peer)
}

// Degraded implements auth.Degraded for those that do.
func (v verifier) Degraded() error {
	if d, ok := v.Verifier.(auth.Degraded); ok {
		return d.Degraded()
	}
	return nil
}

// Probe implements auth.Prober for those that do: nobody else is ever away.
func (v verifier) Probe(ctx context.Context) error {
	if p, ok := v.Verifier.(auth.Prober); ok {
		return p.Probe(ctx) //nolint:wrapcheck // it is the verifier's
	}
	return nil
}
