// Package policyfx provides the policy in force, and how it is read again.
package policyfx

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/reload"
)

// Module provides a *policy.Live, and its file to those that are watched.
var Module = fx.Module("policy", fx.Provide(
	load,
	fx.Annotate(source, fx.ResultTags(`group:"reloads"`)),
))

func load(cfg policy.Config, level policy.Level, log *zap.Logger) (*policy.Live, error) {
	p, source, err := cfg.Load(string(level))
	if err != nil {
		return nil, err
	}
	log.Info("room policy", zap.String("source", source), zap.Int("rules", len(p.Rules())))
	return policy.NewLive(p), nil
}

func source(cfg policy.Config, live *policy.Live) reload.Source {
	s := reload.Source{Name: "policy", Load: func() error { return live.Reload(cfg) }}
	if cfg.File != "" {
		s.Files = []string{cfg.File}
	}
	return s
}
