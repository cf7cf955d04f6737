package presence

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// keys names what an instance keeps in Redis, by its incarnation.
type keys struct{ m *redisconn.Manager }

// members is a sorted set of room, NUL, user; all scores are 1: in the order of
// bytes.
func (k keys) members(inc string) string { return k.m.Key("p", inc) }

// fresh is a sorted set of "+" or "-" and a member, by the time in µs at which
// it came or went, for freshTime.
func (k keys) fresh(inc string) string { return k.m.Key("pf", inc) }

// rooms is a sorted set of names, all scores 1; counts is a hash of their
// connections.
func (k keys) rooms(inc string) string  { return k.m.Key("r", inc) }
func (k keys) counts(inc string) string { return k.m.Key("rc", inc) }

// users is a hash of the connections of users, if these are limited.
func (k keys) users(inc string) string { return k.m.Key("u", inc) }

// summary is a hash of numbers. It exists while all the others are whole.
func (k keys) summary(inc string) string { return k.m.Key("d", inc) }

// grave says that others took the instance for gone, buried is what was in
// members then.
func (k keys) grave(inc string) string  { return k.m.Key("g", inc) }
func (k keys) buried(inc string) string { return k.m.Key("pg", inc) }

// whole are all keys of an instance that lives.
func (k keys) whole(inc string) []string {
	return []string{k.members(inc), k.fresh(inc), k.rooms(inc), k.counts(inc), k.users(inc), k.summary(inc)}
}

// freshTime is how long it stays written when a member came or went: longer
// than a batch takes to be written and the others to be looked at.
const freshTime = 30 * time.Second

// writeScript writes a batch down.
//
// KEYS are those of whole. ARGV: life of the keys in ms, freshTime in µs, the
// numbers of members and rooms; then members, each with a sign in front: "+"
// and "-" came and went, "i" and "o" are in and out, which is no news; then
// rooms and connections in turn, then users and connections. Answer: Redis's
// time in µs, and whether the summary exists.
const writeScript = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local at = string.format('%.0f', now)
local rooms = 5 + ARGV[3]
local users = rooms + 2 * ARGV[4]
for i = 5, rooms - 1 do
  local sign, m = string.sub(ARGV[i], 1, 1), string.sub(ARGV[i], 2)
  if sign == '+' or sign == 'i' then
    redis.call('ZADD', KEYS[1], 1, m)
  else
    redis.call('ZREM', KEYS[1], m)
  end
  if sign == '+' then redis.call('ZREM', KEYS[2], '-' .. m) end
  if sign == '-' then redis.call('ZREM', KEYS[2], '+' .. m) end
  if sign == '+' or sign == '-' then redis.call('ZADD', KEYS[2], at, ARGV[i]) end
end
for i = rooms, users - 1, 2 do
  if ARGV[i + 1] == '0' then
    redis.call('ZREM', KEYS[3], ARGV[i])
    redis.call('HDEL', KEYS[4], ARGV[i])
  else
    redis.call('ZADD', KEYS[3], 1, ARGV[i])
    redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1])
  end
end
for i = users, #ARGV, 2 do
  if ARGV[i + 1] == '0' then
    redis.call('HDEL', KEYS[5], ARGV[i])
  else
    redis.call('HSET', KEYS[5], ARGV[i], ARGV[i + 1])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - ARGV[2]))
for i = 1, 5 do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
return {at, redis.call('EXISTS', KEYS[6])}`

// keepScript prolongs the life of an instance's keys and refreshes its summary;
// 0 if that is gone.
//
// KEYS are those of whole. ARGV: life in ms, then fields and values.
const keepScript = `
if redis.call('EXISTS', KEYS[6]) == 0 then return 0 end
redis.call('HSET', KEYS[6], unpack(ARGV, 2))
for i = 1, 6 do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
return 1`

// roomsScript reads a page of rooms with their connections.
//
// KEYS: rooms, counts. ARGV: from, to, most. Answer: name and connections in
// turn.
const roomsScript = `
local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
if #names == 0 then return {} end
local counts = redis.call('HMGET', KEYS[2], unpack(names))
local out = {}
for i = 1, #names do
  out[2 * i - 1] = names[i]
  out[2 * i] = counts[i] or '0'
end
return out`

// buryScript makes its caller the one who tells of a gone instance's members,
// once: 0 for others.
//
// KEYS are those of whole, grave, buried. ARGV: caller, life of the grave in ms.
const buryScript = `
if not redis.call('SET', KEYS[7], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[8])
  redis.call('PEXPIRE', KEYS[8], ARGV[2])
end
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
return 1`

// batch is what is written at once.
type batch struct {
	members   []memberChange
	rooms     []count
	users     []count
	questions []*question
	asked     []memberChange // of members, those that may be news
}

type memberChange struct {
	member
	change
}

// count is a name with its connections.
type count struct {
	name        string
	connections int
}

func (b *batch) empty() bool {
	return len(b.members)+len(b.rooms)+len(b.users)+len(b.questions) == 0
}

func (b *batch) full() bool {
	return len(b.members) >= batchSize || len(b.rooms) >= batchSize || len(b.users) >= batchSize
}

// sign is how the write script is told of a change.
func (c change) sign() string {
	switch {
	case c.in && c.quiet:
		return "i"
	case c.in:
		return "+"
	case c.quiet:
		return "o"
	}
	return "-"
}

// put writes a batch. It returns Redis's time in µs, and whether the summary
// was there.
func (d *Directory) put(ctx context.Context, b *batch) (at float64, whole bool, err error) {
	args := make([]any, 0, 4+len(b.members)+2*len(b.rooms)+2*len(b.users))
	args = append(args, d.ttl.Milliseconds(), freshTime.Microseconds(), len(b.members), len(b.rooms))
	for _, m := range b.members {
		args = append(args, m.sign()+m.text())
	}
	for _, c := range b.rooms {
		args = append(args, c.name, c.connections)
	}
	for _, c := range b.users {
		args = append(args, c.name, c.connections)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := d.write.Run(ctx, d.redis.Client(), d.keys.whole(d.view.Self()), args...).Slice()
	if err != nil {
		return 0, false, fmt.Errorf("write presence: %w", err)
	}
	if len(answer) == 2 {
		text, _ := answer[0].(string)
		exists, _ := answer[1].(int64)
		if at, err = strconv.ParseFloat(text, 64); err == nil {
			return at, exists == 1, nil
		}
	}
	return 0, false, errAnswer
}
