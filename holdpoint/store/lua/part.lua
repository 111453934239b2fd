-- A hold leaves the card that it shares: it is not listed there any more, and its own place is free.
-- KEYS 1 bundle (hash) 2 cards of the hold (hash)
-- ARGV 1 target 2 hold 3 bundle id
-- Returns 'ok'.
local now = redis.call('HGET', KEYS[2], ARGV[1])
if now and cjson.decode(now).intent == ARGV[3] then
  redis.call('HDEL', KEYS[2], ARGV[1])
end
local listed = redis.call('HGET', KEYS[1], 'holds')
if listed then
  local left = {}
  for _, id in ipairs(cjson.decode(listed)) do
    if id ~= ARGV[2] then
      left[#left + 1] = id
    end
  end
  redis.call('HSET', KEYS[1], 'holds', #left == 0 and '[]' or cjson.encode(left))
end
return 'ok'
