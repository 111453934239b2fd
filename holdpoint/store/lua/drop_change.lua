-- Forget a proposed change, if it still waits.
-- KEYS 1 changes (hash) 2 events (stream)
-- ARGV 1 now_ms 2 change id 3 the change's JSON as the caller read it 4 the event's data (JSON)
-- Returns 'ok', or 'gone' (confirmed or dropped meanwhile).
if redis.call('HGET', KEYS[1], ARGV[2]) ~= ARGV[3] then
  return 'gone'
end
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], '*', 'kind', 'change.dropped', 'subject', ARGV[2], 'at', ARGV[1], 'data', ARGV[4])
return 'ok'
