// Package reloadfx keeps what was read from files in step with them.
package reloadfx

import (
	"context"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/reload"
)

// Module provides the *reload.Watcher of all sources, its runner and its check.
var Module = fx.Module("reload", fx.Provide(
	fx.Annotate(watch, fx.ParamTags(`group:"reloads"`)),
	fx.Annotate(run, fx.ResultTags(`group:"runners"`)),
	fx.Annotate(check, fx.ResultTags(`group:"checks"`)),
))

func watch(sources []reload.Source, signals reload.Signals, log *zap.Logger) *reload.Watcher {
	return reload.New(sources, signals, log)
}

func run(w *reload.Watcher) func(context.Context) { return w.Run }

func check(w *reload.Watcher) health.Check { return w.Check() }
