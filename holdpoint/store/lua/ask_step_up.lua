-- Keep an approval of some holds until its person has confirmed it, in the place of what they approved of them before.
-- KEYS 1 step-up (string: JSON; TTL ARGV 3) 2 due (zset) 3 events (stream)
--      then two for each hold: the hold (hash), and the step-up of hold and person (string: token; TTL ARGV 3)
-- ARGV 1 now_ms 2 token 3 ttl_ms 4 until_ms 5 the step-up's JSON 6 the hold's field for the person 7 that field's JSON
--      8 event kind, then two for each hold: the token that the caller saw ('' for none), extra members of the event
-- Returns 'ok', 'moved' (the person has approved one of them meanwhile), or 'state' (none of them is pending).
local holds = (#KEYS - 3) / 2
for i = 0, holds - 1 do
  if (redis.call('GET', KEYS[5 + 2 * i]) or '') ~= ARGV[9 + 2 * i] then
    return 'moved'
  end
end
local kept = 0
for i = 0, holds - 1 do
  local hold, pointer = KEYS[4 + 2 * i], KEYS[5 + 2 * i]
  local h = redis.call('HMGET', hold, 'state', 'due_ms', 'id')
  if h[1] == 'pending' then
    kept = kept + 1
    redis.call('SET', pointer, ARGV[2], 'PX', ARGV[3])
    redis.call('HSET', hold, ARGV[6], ARGV[7])
    redis.call('HINCRBY', hold, 'rev', 1)
    if tonumber(ARGV[4]) < tonumber(h[2]) then
      redis.call('HSET', hold, 'due_ms', ARGV[4])
      redis.call('ZADD', KEYS[2], ARGV[4], h[3])
    end
    emit(KEYS[3], hold, ARGV[8], ARGV[1], ARGV[10 + 2 * i])
  end
end
if kept == 0 then
  return 'state'
end
redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[3])
return 'ok'
