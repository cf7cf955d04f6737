-- Reads entries after a position.
--
-- KEYS  meta, log
-- ARGV  1 epoch, if the room needs one
--       2 epoch, 3 offset, 4 nonce of the position; epoch "" for none
--       5 entries at most   6 bytes of blobs at most, about
--
-- Returns the top as "epoch offset nonce", "" or why the position cannot be
-- continued from, and of each entry its id, time and blob.
open(ARGV[1])
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The log is the newest entries, as many as the room keeps, without the
-- expired. By number it begins at kept, by age too at first.
local kept = math.max(1, room.top - room.size + 1)
local first = room.top + 1
if room.top > 0 then
  local _, time, at = entry(kept)
  local expired = room.age > 0 and now - room.age or -1
  if at then
    kept = at
    if time > expired then
      first = kept
    elseif room.last > expired then
      -- Times never fall: halve until the first that has not expired.
      local old, new = kept, room.top
      while new - old > 1 do
        local middle = math.floor((old + new) / 2)
        local _, t = entry(middle)
        if t and t <= expired then
          old = middle
        else
          new = middle
        end
      end
      first = new
    end
  elseif room.age == 0 then
    kept = first -- somebody took the entries away
  end
end

local function refusal(epoch, offset, nonce)
  if epoch ~= room.epoch then
    return 'epoch_changed'
  end
  if offset > room.top then
    return 'ahead'
  end
  if offset < first - 1 then
    return offset < kept - 1 and kept - 1 ~= room.mark and 'trimmed' or 'expired'
  end
  local known = nonce_at(offset)
  if not known then
    return first > kept and 'expired' or 'trimmed'
  end
  return known == nonce and '' or 'entry_changed'
end

local from = first
if ARGV[2] ~= '' then
  local offset = tonumber(ARGV[3])
  local why = refusal(ARGV[2], offset, ARGV[4])
  if why ~= '' then
    return {position(), why}
  end
  from = offset + 1
end

local out = {position(), ''}
local limit, room_for = tonumber(ARGV[5]), tonumber(ARGV[6])
while limit > 0 and room_for > 0 and from <= room.top do
  local count = math.min(limit, 64)
  local page = call('XRANGE', log_key, format('%.0f', from), '+', 'COUNT', count)
  for _, e in ipairs(page) do
    out[#out + 1] = e[1]
    out[#out + 1] = e[2][2]
    out[#out + 1] = e[2][4]
    room_for = room_for - #e[2][4]
  end
  from = from + #page
  limit = limit - #page
  if #page < count then
    break
  end
end
return out
