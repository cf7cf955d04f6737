package cluster

import (
	"context"

	"go.uber.org/zap"
)

// Runner returns what makes an instance part of the fleet until ctx ends: it
// listens before it is announced, and is told to have left before it stops to
// listen.
func Runner(r *Registry, b *Bus, l *Balancer) func(ctx context.Context) {
	return func(ctx context.Context) {
		b.Start() //nolint:contextcheck // it ends after ctx: see Shutdown
		r.Start() //nolint:contextcheck // it ends after ctx: see Shutdown
		l.Run(ctx)
		<-ctx.Done()
		if err := r.Shutdown(context.WithoutCancel(ctx)); err != nil {
			r.log.Warn("cluster: the others will miss this instance only after INSTANCE_TTL", zap.Error(err))
		}
		b.Shutdown()
	}
}
