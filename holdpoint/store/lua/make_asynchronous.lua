-- The waiter was answered with 202: nobody waits, nobody has to return, and an identical request is another one.
-- What this gateway has released, and not closed yet, stays with it, so that it is swept if it is lost.
-- KEYS 1 hold (hash) 2 at of the gateway (set) 3 same (zset)
-- ARGV 1 id 2 gateway
-- Returns 'ok', or 'gone' when this gateway does not wait for the hold (any more).
local h = redis.call('HMGET', KEYS[1], 'waiter', 'state', 'releaser')
if h[1] ~= ARGV[2] then
  return 'gone'
end
redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('HSET', KEYS[1], 'waiter', '', 'asynchronous', '1')
redis.call('ZREM', KEYS[3], ARGV[1])
if h[2] ~= 'released' or h[3] ~= ARGV[2] then
  redis.call('SREM', KEYS[2], ARGV[1])
end
return 'ok'
