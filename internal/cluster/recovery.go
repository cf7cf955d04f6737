package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/socketio"
)

// A record is a hash of o (owner), m (match) and s (state), which is missing
// once it was taken.
const (
	// putScript writes a record. KEYS[1]: it. ARGV: owner, match, TTL in ms, and
	// the state, "" to delete it. Answer: 0 when it is another owner's.
	putScript = `
local owner = redis.call('HGET', KEYS[1], 'o')
if owner and owner ~= ARGV[1] then return 0 end
if ARGV[4] == '' then
  redis.call('DEL', KEYS[1])
  return 1
end
redis.call('HSET', KEYS[1], 'o', ARGV[1], 'm', ARGV[2], 's', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`

	// takeScript takes a state. KEYS[1]: the record. ARGV: match, the new owner,
	// TTL in ms. Answer: the state, or nothing.
	takeScript = `
local was = redis.call('HMGET', KEYS[1], 'm', 's')
if was[1] ~= ARGV[1] or not was[2] then return false end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'o', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return was[2]`
)

// Recovery keeps the sessions of Socket.IO clients in Redis, so that they can be
// recovered on any instance. Safe for concurrent use.
type Recovery struct {
	redis *redisconn.Manager
	take  *redis.Script
}

var _ socketio.Store = (*Recovery)(nil)

// NewRecovery makes a store in a manager's Redis.
func NewRecovery(m *redisconn.Manager) *Recovery {
	return &Recovery{redis: m, take: redis.NewScript(takeScript)}
}

func (r *Recovery) key(of string) string { return r.redis.Key("sio", of) }

// Put implements socketio.Store, in one round trip per Redis. After an error some
// may have been written; writing them again does no harm.
func (r *Recovery) Put(ctx context.Context, all []socketio.Record) (taken []string, err error) {
	answers := make([]*redis.Cmd, len(all))
	_, err = r.redis.Client().Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, rec := range all {
			// By its text, as whoever has lost its scripts cannot say so to a
			// whole batch.
			answers[i] = p.Eval(ctx, putScript, []string{r.key(rec.Key)}, rec.Owner, rec.Match, ms(rec.TTL), rec.State)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write sessions down: %w", err)
	}
	for i, a := range answers {
		if written, _ := a.Int(); written == 0 {
			taken = append(taken, all[i].Key)
		}
	}
	return taken, nil
}

// Take implements socketio.Store.
func (r *Recovery) Take(ctx context.Context, key, match, owner string, ttl time.Duration) ([]byte, error) {
	state, err := r.take.Run(ctx, r.redis.Client(), []string{r.key(key)}, match, owner, ms(ttl)).Text()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("take a session: %w", err)
	}
	return []byte(state), nil
}

func ms(d time.Duration) int64 { return max(d.Milliseconds(), 1) }
