package bridge

import (
	"context"
	"math/rand/v2"
	"time"
)

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// jitter is a duration, half of it more or less.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d) //nolint:gosec // a spread, no secret
}
