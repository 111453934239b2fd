-- The next group of the escalation chain joins those who may decide.
-- KEYS 1 hold (hash) 2 due (zset) 3 events (stream)
-- ARGV 1 id 2 now_ms 3 the rev that the caller saw 4 escalations so far 5 deadline_ms 6 due_ms 7 extra members 8 ttl_ms
-- Returns 'ok', 'moved' (another rev) or 'state' (not pending).
local h = redis.call('HMGET', KEYS[1], 'state', 'rev')
if h[1] ~= 'pending' then
  return 'state'
end
if h[2] ~= ARGV[3] then
  return 'moved'
end
redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('HSET', KEYS[1], 'escalated', ARGV[4], 'deadline_ms', ARGV[5], 'due_ms', ARGV[6])
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[8])
emit(KEYS[3], KEYS[1], 'hold.escalated', ARGV[2], ARGV[7])
return 'ok'
