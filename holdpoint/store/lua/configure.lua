-- Set or delete one field of a configuration hash (a key, a route), with its event, if it is as the caller saw it.
-- KEYS 1 revision (int) 2 the hash 3 events (stream)
-- ARGV 1 now_ms 2 field 3 value that the caller saw ('' for none) 4 new value ('' deletes) 5 event kind 6 subject 7 data
-- Returns 'ok', or 'moved'.
if (redis.call('HGET', KEYS[2], ARGV[2]) or '') ~= ARGV[3] then
  return 'moved'
end
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[2], ARGV[2])
else
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[4])
end
redis.call('INCR', KEYS[1])
redis.call('XADD', KEYS[3], '*', 'kind', ARGV[5], 'subject', ARGV[6], 'at', ARGV[1], 'data', ARGV[7])
return 'ok'
