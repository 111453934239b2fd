-- A client has come back: its gateway process waits for this hold from now on.
-- A former waiter that is still there is woken, so that it knows that signals go elsewhere now.
-- KEYS 1 hold (hash) 2 due (zset) 3 events (stream) 4 at of the new gateway (set) 5 at of the former one (set)
--      6 wake of the former one (stream) 7 same (zset; TTL as the hold's at least)
-- ARGV 1 id 2 now_ms 3 the rev that the caller saw 4 new gateway 5 due_ms without the time to return
-- Returns 'ok', or 'moved' when the hold is not as the caller saw it.
local id, now, due = ARGV[1], ARGV[2], ARGV[5]
local h = redis.call('HMGET', KEYS[1], 'rev', 'state', 'releaser', 'waiter', 'created_ms')
if h[1] ~= ARGV[3] then
  return 'moved'
end
redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('HSET', KEYS[1], 'waiter', ARGV[4], 'left_ms', '', 'return_by_ms', '', 'asynchronous', '0')
if h[2] == 'pending' then
  redis.call('HSET', KEYS[1], 'due_ms', due)
  redis.call('ZADD', KEYS[2], due, id)
end
if h[4] ~= h[3] or h[2] ~= 'released' then
  redis.call('SREM', KEYS[5], id)
end
redis.call('SADD', KEYS[4], id)
local ttl = redis.call('PTTL', KEYS[1])
redis.call('ZADD', KEYS[7], h[5], id)
if redis.call('PTTL', KEYS[7]) < ttl then
  redis.call('PEXPIRE', KEYS[7], ttl)
end
if h[4] ~= '' and h[4] ~= ARGV[4] then
  wake(KEYS[6], id)
end
emit(KEYS[3], KEYS[1], 'hold.attached', now, '')
return 'ok'
