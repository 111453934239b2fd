-- The outcome reached the client: an identical request is a new one from now on (an Idempotency-Key still finds it).
-- What this gateway has released, and not closed yet, stays with it, so that it is swept if it is lost.
-- KEYS 1 hold (hash) 2 same (zset) 3 at of the gateway (set)
-- ARGV 1 id 2 gateway
-- Returns 'ok'.
local h = redis.call('HMGET', KEYS[1], 'waiter', 'state', 'releaser')
redis.call('ZREM', KEYS[2], ARGV[1])
if h[2] ~= 'released' or h[3] ~= ARGV[2] then
  redis.call('SREM', KEYS[3], ARGV[1])
end
if h[1] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'waiter', '')
end
return 'ok'
