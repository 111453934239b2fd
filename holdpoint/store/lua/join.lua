-- One more hold for a card that stands for several: listed there, and its own place points there.
-- KEYS 1 bundle (hash) 2 cards of the hold (hash)
-- ARGV 1 target 2 hold 3 intent of the hold's place ('' when it has none) 4 pointer (JSON of CardPlace) 5 ttl_ms
--      6 the most holds that the card has room for
-- Returns 'ok', 'moved' (the hold's place is another one by now) or 'full' (no room, or no such card any more).
local now = redis.call('HGET', KEYS[2], ARGV[1])
if (now and cjson.decode(now).intent or '') ~= ARGV[3] then
  return 'moved'
end
local listed = redis.call('HGET', KEYS[1], 'holds')
local holds = listed and cjson.decode(listed) or nil
if not holds or #holds >= tonumber(ARGV[6]) then
  return 'full'
end
holds[#holds + 1] = ARGV[2]
redis.call('HSET', KEYS[1], 'holds', cjson.encode(holds))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return 'ok'
