// Package wheelfx provides the process's timer wheel.
package wheelfx

import (
	"go.uber.org/fx"

	"github.com/moonx-farm/ws-gateway/internal/wheel"
)

// Module provides a *wheel.Wheel that turns from start to stop.
var Module = fx.Module("wheel", fx.Provide(func(lc fx.Lifecycle) *wheel.Wheel {
	w := wheel.New()
	lc.Append(fx.StartStopHook(w.Start, w.Stop))
	return w
}))
