// Package authfx provides the authenticator.
package authfx

import (
	"context"
	"errors"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
)

// Module provides the auth.Verifier of the mode in force, the auth.Authorizer
// (nil where nobody can be asked), their counters and their check of health.
var Module = fx.Module("auth", fx.Provide(
	choose,
	fx.Annotate(checks, fx.ResultTags(`group:"checks,flatten"`)),
))

type chosen struct {
	fx.Out

	Verifier   auth.Verifier
	Authorizer auth.Authorizer
	Counts     auth.Counts
	Services   services
}

// services are the checks of what is asked.
type services []health.Check

func choose(lc fx.Lifecycle, cfg auth.Config, t *tracing.Tracer, log *zap.Logger) chosen {
	var c chosen
	cfg.HTTP.Tracer = t
	kind := auth.ModeDevelopment
	switch {
	case cfg.UsesService():
		kind = auth.ModeHTTP
		c = service(lc, cfg, log)
	case cfg.UsesJWT():
		kind = auth.ModeJWT
		v := auth.NewJWT(cfg, log)
		lc.Append(fx.StartStopHook(v.Start, v.Close))
		c = chosen{Verifier: v, Counts: v.Stats}
		if cfg.JWT.JWKSURL != "" {
			c.Services = services{check("auth keys", v, "the keys of tokens cannot be fetched")}
		}
	default:
		c = chosen{Verifier: auth.Development{}, Counts: func() auth.Stats { return auth.Stats{} }}
	}
	log.Info("authenticator", zap.String("kind", kind))
	return c
}

func service(lc fx.Lifecycle, cfg auth.Config, log *zap.Logger) chosen {
	s := auth.NewService(cfg, log)
	rooms := auth.NewRooms(s)
	lc.Append(fx.StopHook(func() {
		rooms.Close()
		s.Close()
	}))
	return chosen{
		Verifier: s, Authorizer: rooms, Counts: s.Stats,
		Services: services{
			probing(check("auth service", s, "the auth service cannot be asked"), s),
			check("auth rooms", rooms, "the auth service cannot be asked about rooms"),
		},
	}
}

// check tells of a service that cannot be asked: sessions live on without it,
// so it only degrades.
func check(name string, d auth.Degraded, words health.Reason) health.Check {
	return health.Check{Name: name, Degrades: true, Ready: func(context.Context) error {
		if err := d.Degraded(); err != nil {
			return errors.Join(words, err)
		}
		return nil
	}}
}

// probing makes a check ask the service as well: nobody may have wanted anything
// of it for a while.
func probing(c health.Check, p auth.Prober) health.Check {
	known := c.Ready
	c.Fresh = probeEvery
	c.Ready = func(ctx context.Context) error {
		if err := known(ctx); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		if err := p.Probe(ctx); err != nil {
			return errors.Join(health.Reason("the auth service does not answer"), err)
		}
		return nil
	}
	return c
}

const (
	// probeEvery bounds how often the health of the gateway asks the auth
	// service.
	probeEvery = 2 * time.Second
	// probeTime is short: who looks at health after a second at most, as
	// Kubernetes does, must not take a gateway for dead whose auth service
	// hangs.
	probeTime = 500 * time.Millisecond
)

func checks(s services) []health.Check { return s }
