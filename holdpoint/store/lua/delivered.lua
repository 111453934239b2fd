-- The outcome reached the client: an identical request is a new one from now on (an Idempotency-Key still finds it).
-- KEYS 1 hold (hash) 2 same (zset) 3 at of the gateway (set)
-- ARGV 1 id 2 gateway
-- Returns 'ok'.
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
if redis.call('HGET', KEYS[1], 'waiter') == ARGV[2] then
  redis.call('HSET', KEYS[1], 'waiter', '')
end
return 'ok'
