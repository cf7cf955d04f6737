package streams

import "github.com/redis/go-redis/v9"

// The consumer group of the command stream, and the one consumer in it: what a
// reader has left is the next reader's.
const (
	group    = "gateways"
	consumer = "reader"
)

// scripts are what the reader has Redis do in one step. All that touch entries
// on their way to a reader check the lease first.
type scripts struct {
	acquire, take, left, settle, bury, release *redis.Script
}

func newScripts() scripts {
	return scripts{
		acquire: redis.NewScript(acquireSource), take: redis.NewScript(takeSource), left: redis.NewScript(leftSource),
		settle: redis.NewScript(settleSource), bury: redis.NewScript(burySource), release: redis.NewScript(releaseSource),
	}
}

const (
	// acquireSource takes the lease if nobody else has it, and makes the group,
	// which begins with the oldest entry: what was added before there was a
	// gateway is executed.
	// Keys: lease, stream. Arguments: token, milliseconds, group.
	acquireSource = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
local made = redis.pcall('XGROUP', 'CREATE', KEYS[2], ARGV[3], '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP') then return made end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

	// takeSource renews the lease and takes new entries; nil when the lease is
	// somebody else's. With nothing to take it says what was taken last, to wait
	// for what comes after that.
	// Keys: lease, stream. Arguments: token, milliseconds, group, consumer, count.
	// Answer: entries, length of the stream, the last id that was taken or ''.
	takeSource = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local length = redis.call('XLEN', KEYS[2])
if ARGV[5] == '0' then return {{}, length, ''} end
local got = redis.call('XREADGROUP', 'GROUP', ARGV[3], ARGV[4], 'COUNT', ARGV[5], 'STREAMS', KEYS[2], '>')
if got then return {got[1][2], length, ''} end
for _, found in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
  local info = {}
  for i = 1, #found, 2 do info[found[i]] = found[i + 1] end
  if info['name'] == ARGV[3] then return {{}, length, info['last-delivered-id']} end
end
return redis.error_reply('NOGROUP the group is gone')`

	// leftSource renews the lease and takes again what was delivered and is not
	// acknowledged, after an id, and how often it was delivered before. If the
	// first of it was so as often as the last argument says, it comes alone.
	// Keys: lease, stream. Arguments: token, milliseconds, group, consumer,
	// count, id, deliveries.
	// Answer: entries, length of the stream, '', their deliveries.
	leftSource = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local length = redis.call('XLEN', KEYS[2])
local list = redis.call('XPENDING', KEYS[2], ARGV[3], '(' .. ARGV[6], '+', ARGV[5], ARGV[4])
if #list == 0 then return {{}, length, '', {}} end
local count = #list
if list[1][4] >= tonumber(ARGV[7]) then count = 1 end
local got = redis.call('XREADGROUP', 'GROUP', ARGV[3], ARGV[4], 'COUNT', count, 'STREAMS', KEYS[2], ARGV[6])
local deliveries = {}
for i = 1, count do deliveries[i] = list[i][4] end
return {got[1][2], length, '', deliveries}`

	// settleSource is the end of entries that were executed.
	// Key: stream. Arguments: group, ids.
	settleSource = `
redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 2))
return redis.call('XDEL', KEYS[1], unpack(ARGV, 2))`

	// burySource moves an entry to the dead letters, unless it is gone. Of very
	// long ones the beginning is kept; of tokens nothing.
	// Keys: stream, dead letters. Arguments: group, id, code, reason, length of
	// the dead letters, most fields, most bytes of a value.
	burySource = `
local found = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])
if found[1] then
  local fields = found[1][2]
  local dead = {'dead-id', ARGV[2], 'dead-code', ARGV[3], 'dead-reason', ARGV[4]}
  for i = 1, math.min(#fields, 2 * tonumber(ARGV[6])), 2 do
    local value = fields[i + 1]
    if fields[i] == 'token' then value = '(left out)' end
    dead[#dead + 1] = string.sub(fields[i], 1, tonumber(ARGV[7]))
    dead[#dead + 1] = string.sub(value, 1, tonumber(ARGV[7]))
  end
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', unpack(dead))
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
return redis.call('XDEL', KEYS[1], ARGV[2])`

	// releaseSource gives the lease back. Entries that were not executed count
	// as never delivered: it was not their fault.
	// Keys: lease, stream. Arguments: token, group, consumer, ids.
	releaseSource = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 4, #ARGV do
  redis.call('XCLAIM', KEYS[2], ARGV[2], ARGV[3], '0', ARGV[i], 'RETRYCOUNT', '0', 'JUSTID')
end
return redis.call('DEL', KEYS[1])`
)
