-- A hold leaves the card that it shares: it is not listed there any more, and its own place is free. The last one takes the
-- message with it.
-- KEYS 1 bundle (hash) 2 cards of the hold (hash) 3 cards of the bundle (hash)
-- ARGV 1 target 2 hold 3 bundle id 4 ttl_ms
-- Returns 'ok'.
local now = redis.call('HGET', KEYS[2], ARGV[1])
local pointed = now and cjson.decode(now).intent == ARGV[3]
if pointed then
  redis.call('HDEL', KEYS[2], ARGV[1])
end
local listed = redis.call('HGET', KEYS[1], 'holds')
local left = {}
if listed then
  for _, id in ipairs(cjson.decode(listed)) do
    if id ~= ARGV[2] then
      left[#left + 1] = id
    end
  end
  redis.call('HSET', KEYS[1], 'holds', #left == 0 and '[]' or cjson.encode(left))
end
local place = pointed and #left == 0 and redis.call('HGET', KEYS[3], ARGV[1])
if place then
  redis.call('HSET', KEYS[2], ARGV[1], place)
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  redis.call('HDEL', KEYS[3], ARGV[1])
end
return 'ok'
