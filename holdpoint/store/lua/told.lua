-- Note whether the requester could be told of a hold in one channel, with its event. Any state.
-- KEYS 1 hold (hash) 2 events (stream)
-- ARGV 1 now_ms 2 channel ("teams") 3 '1' reached, '0' not 4 event kind 5 extra members
-- Returns 'ok', also when the same was noted before, or 'none' (there is no such hold).
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 'none'
end
local field = 'told:' .. ARGV[2]
if redis.call('HGET', KEYS[1], field) == ARGV[3] then
  return 'ok'
end
redis.call('HSET', KEYS[1], field, ARGV[3])
redis.call('HINCRBY', KEYS[1], 'rev', 1)
emit(KEYS[2], KEYS[1], ARGV[4], ARGV[1], ARGV[5])
return 'ok'
