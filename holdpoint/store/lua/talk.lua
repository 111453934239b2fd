-- Change what people say about a pending hold, with its event: claim, unclaim, ask, answer, resume, justify, remind.
-- KEYS 1 hold (hash) 2 due (zset) 3 events (stream)
-- ARGV 1 id 2 now_ms 3 the rev that the caller saw 4 due_ms 5 ttl_ms ('' leaves it) 6 event kind 7 extra members
--      8… field, value, … of the hold ('' empties a field)
-- Returns 'ok', 'moved' (another rev) or 'state' (not pending).
local h = redis.call('HMGET', KEYS[1], 'state', 'rev')
if h[1] ~= 'pending' then
  return 'state'
end
if h[2] ~= ARGV[3] then
  return 'moved'
end
local fields = {}
for i = 8, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('HSET', KEYS[1], 'due_ms', ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
if ARGV[5] ~= '' then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
emit(KEYS[3], KEYS[1], ARGV[6], ARGV[2], ARGV[7])
return 'ok'
