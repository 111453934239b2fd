-- Remove a passkey of one person, with its event.
-- KEYS 1 passkeys of the person (hash) 2 passkeys:owners (hash) 3 events (stream)
-- ARGV 1 now_ms 2 credential id 3 principal 4 event kind 5 data (JSON)
-- Returns 'ok', or 'gone' (the person has no such passkey).
if redis.call('HDEL', KEYS[1], ARGV[2]) == 0 then
  return 'gone'
end
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('XADD', KEYS[3], '*', 'kind', ARGV[4], 'subject', ARGV[3], 'at', ARGV[1], 'data', ARGV[5])
return 'ok'
