package auth

import (
	"context"
	"net/netip"

	"github.com/moonx-farm/ws-gateway/internal/tracing"
)

// traced makes spans of the verifications of another verifier.
type traced struct {
	Verifier
	tracer *tracing.Tracer
}

var (
	_ Degraded = traced{}
	_ Prober   = traced{}
)

// Traced makes a span of each verification of v; with a nil tracer it is v.
func Traced(v Verifier, t *tracing.Tracer) Verifier {
	if !t.On() {
		return v
	}
	return traced{v, t}
}

// Verify implements Verifier.
func (v traced) Verify(ctx context.Context, token string, peer netip.Addr) (Identity, error) {
	ctx, span := v.tracer.Authenticate(ctx)
	id, err := v.Verifier.Verify(ctx, token, peer)
	span.End(err)
	return id, err //nolint:wrapcheck // it is the verifier's
}

// Degraded implements Degraded for those that do.
func (v traced) Degraded() error {
	if d, ok := v.Verifier.(Degraded); ok {
		return d.Degraded()
	}
	return nil
}

// Probe implements Prober for those that do.
func (v traced) Probe(ctx context.Context) error {
	if p, ok := v.Verifier.(Prober); ok {
		return p.Probe(ctx)
	}
	return nil
}
