package roomlog

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Notify sends a notice to a room's channel, where Decode returns it as
// Notice: at most once, to whoever listens at that moment. Unavailable when
// Redis is away.
func (l *Log) Notify(ctx context.Context, room string, payload []byte) error {
	if err := checkRoom(room); err != nil {
		return err
	}
	message := append([]byte{formatVersion, letterNotice}, payload...)
	_, err := l.call(ctx, order{
		room: room, bytes: overhead + len(message),
		make: func(ctx context.Context, _ time.Duration) redis.Cmder {
			return redis.NewIntCmd(ctx, l.tell, l.Channel(room), message)
		},
	})
	return err
}
