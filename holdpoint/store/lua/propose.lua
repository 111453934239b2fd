-- Keep a change of policy or routes until another admin confirms it.
-- KEYS 1 changes (hash, no TTL: entries leave with confirm or drop) 2 events (stream)
-- ARGV 1 now_ms 2 change id 3 the change's JSON 4 most that may wait 5 the event's data (JSON)
-- Returns 'ok', 'taken' (a change has this id), or 'full'.
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then
  return 'taken'
end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  return 'full'
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('XADD', KEYS[2], '*', 'kind', 'change.proposed', 'subject', ARGV[2], 'at', ARGV[1], 'data', ARGV[5])
return 'ok'
