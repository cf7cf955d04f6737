-- What read.lua and verify.lua share; it stands before each of them.
--
-- A room's meta is one line, "1 epoch offset time size age stamp mark nonces ":
-- the epoch in hex, offset and time (Unix ms) of the newest entry, the
-- retention of the latest publish, when the expiry of meta and log was last
-- set, offset and nonce ("7-123") of the entry after which the last silence
-- was that let all entries expire, and the nonces of the newest entries, newest
-- first, of which the last may be cut. A room without entries has offset 0 and
-- the nonce 0.
local call = redis.call
local format = string.format
local meta_key, log_key = KEYS[1], KEYS[2]

-- The lives of metas in ms: of a room without entries, and after the last
-- entry has expired.
local EMPTY, DAY = 3600000, 86400000

local room = {}

-- begin makes the meta of a room that has none.
local function begin(epoch)
  call('DEL', log_key) -- of an epoch that nobody knows any more
  room = {epoch = epoch, top = 0, last = 0, size = 0, age = 0, mark = 0, mark_nonce = '0', nonce = '0'}
  call('SET', meta_key, '1 ' .. epoch .. ' 0 0 0 0 0 0-0 0 ', 'PX', EMPTY)
end

-- open reads the meta, or makes it, and lengthens its life when half of it is
-- over: reading is using. It returns whether there was one.
local function open(candidate)
  local meta = call('GET', meta_key)
  if not meta then
    begin(candidate)
    return false
  end
  local epoch, top, last, size, age, rest, mark, mark_nonce, nonce =
    string.match(meta, '^1 (%x+) (%d+) (%d+) (%d+) (%d+) (%d+ (%d+)%-(%d+) (%d+) .*)$')
  if not epoch then
    error({err = 'UNREADABLE the metadata of a room'})
  end
  room = {
    epoch = epoch, top = tonumber(top), last = tonumber(last), size = tonumber(size), age = tonumber(age),
    mark = tonumber(mark), mark_nonce = mark_nonce, nonce = nonce, rest = rest,
  }
  local life = room.top == 0 and EMPTY or room.age + DAY
  local left = call('PTTL', meta_key)
  if left >= 0 and left < life / 2 then
    call('PEXPIRE', meta_key, format('%.0f', life))
  end
  return true
end

-- entry returns the nonce and the time of the first entry from an offset on,
-- and its offset; nil if there is none.
local function entry(offset)
  local found = call('XRANGE', log_key, format('%.0f', offset), '+', 'COUNT', 1)[1]
  if not found then
    return nil
  end
  local at, nonce = string.match(found[1], '^(%d+)-(%d+)$')
  return nonce, tonumber(found[2][2]), tonumber(at)
end

-- nonce_at returns the nonce of exactly this offset, nil if it is gone.
local function nonce_at(offset)
  if offset == room.top then
    return room.nonce
  end
  if offset == room.mark then
    return room.mark_nonce
  end
  if offset == 0 then
    return '0'
  end
  local nonce, _, at = entry(offset)
  return at == offset and nonce or nil
end

local function position()
  return format('%s %.0f %s', room.epoch, room.top, room.nonce)
end
