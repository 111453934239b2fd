-- Open a session of the web inbox, and put it on the list of its person's sessions.
-- KEYS 1 session (string: JSON; TTL: idle time or what is left of it) 2 sessions of the person (zset: digest of the
--      cookie by the session's end, ms; TTL: up to the last end) 3 events (stream)
-- ARGV 1 now_ms 2 JSON 3 TTL of the session in ms 4 digest of the cookie 5 its end (ms) 6 event kind 7 subject 8 data
-- Returns 'ok'.
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[4])
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[2], string.format('%.0f', last[2]))
redis.call('XADD', KEYS[3], '*', 'kind', ARGV[6], 'subject', ARGV[7], 'at', ARGV[1], 'data', ARGV[8])
return 'ok'
