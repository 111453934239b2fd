-- Note who has looked at a hold that an admin approved alone, with its event, if nobody has meanwhile.
-- KEYS 1 glass (hash) 2 events (stream)
-- ARGV 1 hold id 2 now_ms 3 value that the caller saw 4 new value 5 the event's data (JSON)
-- Returns 'ok', or 'moved'.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[3] then
  return 'moved'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
redis.call('XADD', KEYS[2], '*', 'kind', 'glass.reviewed', 'subject', ARGV[1], 'at', ARGV[2], 'data', ARGV[5])
return 'ok'
