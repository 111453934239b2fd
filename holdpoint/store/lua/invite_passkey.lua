-- Allow one person to add one passkey, with its event.
-- KEYS 1 the invitation (string: JSON; TTL ARGV 5) 2 events (stream)
-- ARGV 1 now_ms 2 principal 3 the invitation's JSON 4 event kind 5 ttl_ms 6 data (JSON)
-- Returns 'ok'.
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[5])
redis.call('XADD', KEYS[2], '*', 'kind', ARGV[4], 'subject', ARGV[2], 'at', ARGV[1], 'data', ARGV[6])
return 'ok'
