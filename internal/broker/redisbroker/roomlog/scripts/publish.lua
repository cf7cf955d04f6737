#!lua
-- Publishes to a room: once, in order, and atomically.
--
-- KEYS  meta, log, and with an idempotency key its record
-- ARGV  1 PUBLISH, SPUBLISH, or "" for a room without a channel
--       2 channel   3 nonce   4 blob
--       5 epoch, if the room needs one
--       6 entries to keep, 0 for none   7 their age in ms, 0 for any
--       8 "1" if a repeat must reach replicas too
--       9 "" at the first attempt; else how long ago it may have been, in ms
--      10 nonce of a second attempt
--      11 digest of the content   12 life of the key's record in ms
--
-- Returns "c" for a conflict of keys, else "s" (stored) or "r" (repeated) and
-- " epoch offset nonce"; without history epoch and offset are 0, and the nonce
-- is that of the attempt which was stored.
local call = redis.call
local format = string.format
local channel, nonce, size, age, second, digest = ARGV[2], ARGV[3], ARGV[6], ARGV[7], ARGV[10], ARGV[11]
local meta_key, log_key, record_key = KEYS[1], KEYS[2], KEYS[3]

-- WAIT covers what its connection has written: a repeat writes something.
local function repeated(key, value, answer)
  if ARGV[8] == '1' then
    call('SET', key, value, 'KEEPTTL')
  end
  return answer
end

if record_key then
  local record = call('GET', record_key)
  if record then
    if string.sub(record, 1, #digest) ~= digest then
      return 'c'
    end
    return repeated(record_key, record, 'r' .. string.sub(record, #digest + 1))
  end
end

local meta = call('GET', meta_key)
local epoch, top, last, old_size, old_age, stamp, mark, recent, prev
if meta then
  epoch, top, last, old_size, old_age, stamp, mark, recent, prev =
    string.match(meta, '^1 (%x+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+%-%d+)( (%d+) .*)$')
  if not epoch then
    return redis.error_reply('UNREADABLE the metadata of a room')
  end
end

local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

if size == '0' then
  if top and top ~= '0' then
    -- What is not kept must not pass for what is: the log ends here.
    call('DEL', log_key)
    call('SET', meta_key, '1 ' .. ARGV[5] .. ' 0 0 0 0 0 0-0 0 ', 'PX', '3600000')
    if channel ~= '' then
      call(ARGV[1], channel, '1E ' .. ARGV[5] .. ' 0 0')
    end
  end
  if channel ~= '' then
    call(ARGV[1], channel, format('1P 0 0 %s 0 %.0f\n', nonce, now) .. ARGV[4])
  end
  if record_key then
    call('SET', record_key, digest .. ' 0 0 ' .. nonce, 'PX', ARGV[12])
  end
  return 's 0 0 ' .. nonce
end

if meta then
  -- Attempts may be executed late, or twice: each is known by both nonces.
  for _, known in ipairs({nonce, second}) do
    local at = string.find(recent, ' ' .. known .. ' ', 1, true)
    if at then
      local _, newer = string.gsub(string.sub(recent, 1, at), ' ', '')
      return repeated(meta_key, meta, format('r %s %.0f %s', epoch, top - newer + 1, known))
    end
  end
  if ARGV[9] ~= '' and not record_key then
    -- The answer to an earlier attempt may be lost: look further back.
    local before, oldest = '+', now - ARGV[9]
    repeat
      local page = call('XREVRANGE', log_key, before, '-', 'COUNT', 100)
      for _, entry in ipairs(page) do
        local offset, entry_nonce = string.match(entry[1], '^(%d+)-(%d+)$')
        if entry_nonce == nonce or entry_nonce == second then
          return repeated(meta_key, meta, format('r %s %s %s', epoch, offset, entry_nonce))
        end
        if tonumber(entry[2][2]) < oldest then
          page = {}
          break
        end
        before = '(' .. entry[1]
      end
    until #page < 100
  end
  if ARGV[9] ~= '' then
    -- The earlier attempt may have been stored, seen and then lost with a
    -- failover: at the same offset, behind other entries, this one must not
    -- pass for it.
    nonce = second
  end
else
  call('DEL', log_key) -- of an epoch that nobody knows any more
  epoch, top, last, old_age, mark, recent, prev = ARGV[5], '0', '0', '0', '0-0', ' 0 ', '0'
end

now = math.max(now, tonumber(last)) -- the clock of another master may be behind
if old_age ~= '0' and now - last >= tonumber(old_age) then
  mark = top .. '-' .. prev -- Redis may have dropped all entries up to here
end
local time, offset = format('%.0f', now), format('%.0f', top + 1)
call('XADD', log_key, 'MAXLEN', '~', size + 1, offset .. '-' .. nonce, 't', time, 'p', ARGV[4])

if #recent > 240 then
  recent = string.sub(recent, 1, 240) -- 15 nonces; part of one has no space after it
end
local stale = size ~= old_size or age ~= old_age or now - stamp > 30000
if stale then
  stamp = time
end
meta = '1 ' .. epoch .. ' ' .. offset .. ' ' .. time .. ' ' .. size .. ' ' .. age .. ' ' .. stamp .. ' ' .. mark .. ' ' .. nonce .. recent
if age == '0' then
  call('SET', meta_key, meta)
  if stale then
    call('PERSIST', log_key)
  end
elseif stale then
  call('SET', meta_key, meta, 'PX', format('%.0f', age + 86400000))
  call('PEXPIRE', log_key, format('%.0f', age + 60000))
else
  call('SET', meta_key, meta, 'KEEPTTL')
end

local position = ' ' .. epoch .. ' ' .. offset .. ' ' .. nonce
if record_key then
  call('SET', record_key, digest .. position, 'PX', ARGV[12])
end
if channel ~= '' then
  call(ARGV[1], channel, '1P' .. position .. ' ' .. prev .. ' ' .. time .. '\n' .. ARGV[4])
end
return 's' .. position
