-- Judges whether the log goes on from a position that was delivered. When it
-- holds other entries in the same epoch it was rolled back, by a failover: its
-- epoch ends, so that no offset stands for two entries.
--
-- KEYS  meta, log
-- ARGV  1 epoch, if the room needs one
--       2 epoch, 3 offset, 4 nonce of the position
--       5 PUBLISH or SPUBLISH   6 channel
--
-- Returns "h" (holds), "n" (does not) or "e" (does not, and the epoch was
-- ended by this call) and the top as " epoch offset nonce".
local known = open(ARGV[1])
local offset = tonumber(ARGV[3])
if not known or ARGV[2] ~= room.epoch then
  return 'n ' .. position()
end
if offset <= room.top then
  local nonce = nonce_at(offset)
  if not nonce or nonce == ARGV[4] then
    return 'h ' .. position()
  end
end
room.epoch = ARGV[1]
call('SET', meta_key, format('1 %s %.0f %.0f %.0f %.0f %s', room.epoch, room.top, room.last, room.size, room.age, room.rest), 'KEEPTTL')
call(ARGV[5], ARGV[6], '1E ' .. position())
return 'e ' .. position()
