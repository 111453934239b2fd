-- The client that waited has gone. While pending, the hold is cancelled at `return_by` unless the client returns.
-- KEYS 1 hold (hash) 2 due (zset) 3 events (stream) 4 at of the gateway (set)
-- ARGV 1 id 2 now_ms 3 gateway 4 return_by_ms
-- Returns 'ok', or 'gone' when this gateway does not wait for the hold (any more), or there is no such hold.
local id, now, back = ARGV[1], ARGV[2], ARGV[4]
local h = redis.call('HMGET', KEYS[1], 'waiter', 'state', 'due_ms', 'releaser')
if h[2] ~= 'released' or h[4] ~= ARGV[3] then
  redis.call('SREM', KEYS[4], id)
end
if h[1] ~= ARGV[3] then
  return 'gone'
end
redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('HSET', KEYS[1], 'waiter', '', 'left_ms', now)
if h[2] == 'pending' then
  redis.call('HSET', KEYS[1], 'return_by_ms', back)
  if tonumber(back) < tonumber(h[3]) then
    redis.call('HSET', KEYS[1], 'due_ms', back)
    redis.call('ZADD', KEYS[2], back, id)
  end
end
emit(KEYS[3], KEYS[1], 'hold.left', now, '')
return 'ok'
