-- Add or remove a proposed route, if nobody touched the change and the route is not yet as the change wants it.
-- KEYS 1 changes (hash) 2 revision (int) 3 routes (hash) 4 events (stream)
-- ARGV 1 now_ms 2 change id 3 the change's JSON as the caller read it 4 the route ("group\tchannel")
--      5 its new JSON ('' removes it) 6 data of change.confirmed (JSON) 7 kind of the route's event 8 group 9 its data (JSON)
-- Returns 'ok', 'gone' (confirmed or dropped meanwhile), or 'moved' (the route is so already).
if redis.call('HGET', KEYS[1], ARGV[2]) ~= ARGV[3] then
  return 'gone'
end
local adds = ARGV[5] ~= ''
if (redis.call('HEXISTS', KEYS[3], ARGV[4]) == 1) == adds then
  return 'moved'
end
redis.call('HDEL', KEYS[1], ARGV[2])
if adds then
  redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
else
  redis.call('HDEL', KEYS[3], ARGV[4])
end
redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[4], '*', 'kind', 'change.confirmed', 'subject', ARGV[2], 'at', ARGV[1], 'data', ARGV[6])
redis.call('XADD', KEYS[4], '*', 'kind', ARGV[7], 'subject', ARGV[8], 'at', ARGV[1], 'data', ARGV[9])
return 'ok'
