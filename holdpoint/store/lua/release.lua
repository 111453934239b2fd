-- Spend the approval: the one moment at which a hold may be forwarded.
-- KEYS 1 hold (hash) 2 state:approved (zset) 3 state:released (zset) 4 due (zset) 5 events (stream)
--      6 at of the gateway (set)
-- ARGV 1 id 2 now_ms 3 gateway 4 token of this attempt
-- Returns the whole hold (also when this very attempt had succeeded and its answer was lost), the state it is in, or
-- 'late': the time in which it had to be collected is over.
local id, now = ARGV[1], ARGV[2]
local h = redis.call('HMGET', KEYS[1], 'state', 'releaser', 'release_token', 'due_ms')
if h[1] == 'released' and h[2] == ARGV[3] and h[3] == ARGV[4] then
  return redis.call('HGETALL', KEYS[1])
end
if h[1] ~= 'approved' then
  return h[1] or 'none'
end
if tonumber(now) >= tonumber(h[4]) then
  return 'late'
end
redis.call('HSET', KEYS[1], 'releaser', ARGV[3], 'release_token', ARGV[4], 'released_ms', now)
move(KEYS[1], KEYS[2], KEYS[3], KEYS[4], id, 'released', '')
redis.call('SADD', KEYS[6], id)
emit(KEYS[5], KEYS[1], 'hold.released', now, '')
return redis.call('HGETALL', KEYS[1])
