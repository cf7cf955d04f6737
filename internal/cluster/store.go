package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// instancesTag names the slot of everything that is the fleet's as a whole.
const instancesTag = "instances"

// beatScript notes that an instance lives and returns all that do.
//
// KEYS[1] sorted set: incarnation by the Redis time in ms at which its time is
// over. KEYS[2] hash: incarnation to record. ARGV: incarnation, record, TTL in
// ms. Answer: Redis's time in ms, then incarnation, end of its time and record
// of each.
const beatScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('ZREM', KEYS[1], dead)
  redis.call('HDEL', KEYS[2], dead)
end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3] * 2)
redis.call('PEXPIRE', KEYS[2], ARGV[3] * 2)
local live = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
local out = {now}
for i = 1, #live, 2 do
  out[#out + 1] = live[i]
  out[#out + 1] = tonumber(live[i + 1])
  out[#out + 1] = redis.call('HGET', KEYS[2], live[i]) or ''
end
return out`

// store keeps the instances in Redis. Safe for concurrent use.
type store struct {
	redis  *redisconn.Manager
	script *redis.Script
	keys   []string
	ttl    time.Duration
}

func newStore(m *redisconn.Manager, ttl time.Duration) *store {
	return &store{
		redis: m, script: redis.NewScript(beatScript), ttl: ttl,
		keys: []string{m.Key("alive", instancesTag), m.Key("instance", instancesTag)},
	}
}

// beat tells Redis of an instance and returns all that live, self too, and how
// many could not be read. A repeat does no harm.
func (s *store) beat(ctx context.Context, self Instance) (all []peer, bad int, err error) {
	record, err := json.Marshal(self)
	if err != nil {
		return nil, 0, fmt.Errorf("write the instance's record: %w", err)
	}
	asked := time.Now()
	answer, err := s.script.Run(ctx, s.redis.Client(), s.keys, self.Incarnation, record, s.ttl.Milliseconds()).Slice()
	if err != nil {
		return nil, 0, fmt.Errorf("heartbeat: %w", err)
	}
	all, bad = readBeat(answer, asked, s.ttl)
	return all, bad, nil
}

// readBeat reads the script's answer. Ends of times, which are Redis's, become
// this machine's by what is left of them, no more than a TTL: no clock but
// Redis's is compared with another.
func readBeat(answer []any, asked time.Time, ttl time.Duration) (all []peer, bad int) {
	if len(answer) == 0 {
		return nil, 1
	}
	now, ok := answer[0].(int64)
	if !ok {
		return nil, 1
	}
	for row := range chunks(answer[1:], 3) {
		p, ok := readPeer(row)
		if !ok {
			bad++
			continue
		}
		end, _ := row[1].(int64)
		p.until = asked.Add(min(time.Duration(end-now)*time.Millisecond, ttl))
		all = append(all, p)
	}
	return all, bad
}

// chunks yields the whole parts of n elements.
func chunks(s []any, n int) func(func([]any) bool) {
	return func(yield func([]any) bool) {
		for ; len(s) >= n; s = s[n:] {
			if !yield(s[:n]) {
				return
			}
		}
	}
}

// readPeer reads one instance's row: incarnation, end of its time, record.
func readPeer(row []any) (peer, bool) {
	incarnation, _ := row[0].(string)
	record, _ := row[2].(string)
	var p peer
	if err := json.Unmarshal([]byte(record), &p.Instance); err != nil || p.Incarnation != incarnation || incarnation == "" {
		return peer{}, false
	}
	return p, true
}
