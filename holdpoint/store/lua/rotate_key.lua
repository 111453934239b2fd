-- Put a second key beside one, and an end to the first, with both events, if the first is as the caller saw it.
-- KEYS 1 revision (int) 2 keys (hash: key id to JSON; no TTL) 3 events (stream)
-- ARGV 1 now_ms 2 id of the old key 3 its value as seen 4 its new value 5 its event's kind 6 its event's data
--      7 id of the new key 8 its value 9 its event's kind 10 its event's data
-- Returns 'ok', or 'moved': the old one is another one by now, or there is a key with the new one's id. Nothing was changed.
if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[3] or redis.call('HEXISTS', KEYS[2], ARGV[7]) == 1 then
  return 'moved'
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[4], ARGV[7], ARGV[8])
redis.call('INCR', KEYS[1])
redis.call('XADD', KEYS[3], '*', 'kind', ARGV[9], 'subject', ARGV[7], 'at', ARGV[1], 'data', ARGV[10])
redis.call('XADD', KEYS[3], '*', 'kind', ARGV[5], 'subject', ARGV[2], 'at', ARGV[1], 'data', ARGV[6])
return 'ok'
