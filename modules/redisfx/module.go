// Package redisfx provides the connections to Redis. It is part of the gateway
// only where a Redis is configured.
package redisfx

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// fresh is how long an answer about Redis's health is used again: however many
// ask, it is asked that often.
const fresh = 250 * time.Millisecond

// Module provides a *redisconn.Manager, which watches Redis from start to stop,
// and a check without which the gateway is not ready.
var Module = fx.Module("redis", fx.Provide(
	manager,
	fx.Annotate(check, fx.ResultTags(`group:"checks"`)),
))

// manager connects from its start on; it does not wait for Redis, so that a
// gateway which comes first is there when Redis is.
func manager(lc fx.Lifecycle, cfg redisconn.Config, log *zap.Logger) (*redisconn.Manager, error) {
	redis.SetLogger(library{log.WithOptions(zap.WithCaller(false))})
	m, err := redisconn.New(cfg, log)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StartStopHook(m.Start, m.Close))
	return m, nil
}

// check says why Redis cannot be used; the manager's words are for everybody.
func check(m *redisconn.Manager) health.Check {
	return health.Check{Name: "redis", Fresh: fresh, Ready: func(ctx context.Context) error {
		if err := m.Ready(ctx); err != nil {
			return health.Reason(err.Error())
		}
		return nil
	}}
}

// library takes what the client library would write to the standard error: each
// dial that fails, and what Sentinel says. The manager says once what matters.
type library struct{ log *zap.Logger }

// Printf implements the library's logger.
func (l library) Printf(_ context.Context, format string, args ...any) {
	if entry := l.log.Check(zap.DebugLevel, "redis client"); entry != nil {
		entry.Write(zap.String("said", fmt.Sprintf(format, args...)))
	}
}
