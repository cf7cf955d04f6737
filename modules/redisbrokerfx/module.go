// Package redisbrokerfx provides the broker on Redis. Its life is led by hubfx,
// which has the sink that it delivers to.
package redisbrokerfx

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// Module provides a *redisbroker.Broker.
var Module = fx.Module("redis broker", fx.Provide(start))

// start reads what every broker has from the embedded one's settings.
func start(m *redisconn.Manager, every membroker.Config, logs roomlog.Config, log *zap.Logger) *redisbroker.Broker {
	logs.IdempotencyTTL = every.IdempotencyTTL
	log.Info("broker", zap.String("kind", "redis"))
	return redisbroker.New(m, redisbroker.Config{
		Log: logs, HandoffBytes: every.HandoffBytes, HandoffTotal: every.MemoryBytes / 4, Batch: every.Batch,
	}, log)
}
