// Package policyfx provides the policy in force and keeps it in step with its
// file.
package policyfx

import (
	"context"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/policy"
)

// Module provides a *policy.Live and its reloader.
var Module = fx.Module("policy", fx.Provide(
	load,
	fx.Annotate(reloader, fx.ResultTags(`group:"runners"`)),
))

func load(cfg policy.Config, level policy.Level, log *zap.Logger) (*policy.Live, error) {
	p, source, err := policy.Load(cfg.File, string(level))
	if err != nil {
		return nil, err
	}
	log.Info("room policy", zap.String("source", source), zap.Int("rules", len(p.Rules())))
	return policy.NewLive(p), nil
}

func reloader(cfg policy.Config, live *policy.Live, reloads policy.Reloads, log *zap.Logger) func(context.Context) {
	return policy.NewReloader(cfg.File, live, reloads, log).Run
}
