// Package brokerfx provides the embedded broker. Its life is led by hubfx,
// which has the sink that it delivers to.
package brokerfx

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
)

// Module provides a *membroker.Broker.
var Module = fx.Module("broker", fx.Provide(func(cfg membroker.Config, log *zap.Logger) *membroker.Broker {
	log.Info("broker", zap.String("kind", "embedded"), zap.Int64("memoryBytes", cfg.MemoryBytes))
	return membroker.New(cfg)
}))
