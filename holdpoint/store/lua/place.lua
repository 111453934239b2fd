-- Note where a copy of a card stands and what it shows, unless another copy has taken its place meanwhile, or it was posted
-- meanwhile and the caller knows of no message.
-- KEYS 1 cards (hash: target to JSON of CardPlace) 2 failing (hash: target to JSON)
-- ARGV 1 target 2 the intent of the place that the caller saw ('' for none or an adopted one) 3 place (JSON) 4 ttl_ms
--      5 '' nothing was sent, '-' the platform took it, else JSON of its refusal 6 the entry of failing for everything that is reached the same way
-- Returns 'ok', or 'moved' when the place is another one by now.
local now = redis.call('HGET', KEYS[1], ARGV[1])
if now then
  local there, place = cjson.decode(now), cjson.decode(ARGV[3])
  if there.intent ~= ARGV[2] or (there.intent == place.intent and there.message and not place.message) then
    return 'moved'
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if ARGV[5] == '-' then
  redis.call('HDEL', KEYS[2], ARGV[1], ARGV[6])
elseif ARGV[5] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[5])
end
return 'ok'
