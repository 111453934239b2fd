-- End a session of the web inbox: at once, for good, and once.
-- KEYS 1 session (string) 2 sessions of the person (zset) 3 events (stream); types and TTL: see open_session.lua
-- ARGV 1 now_ms 2 digest of the cookie 3 event kind 4 subject 5 data
-- Returns 'ok', or 'gone' (it was over already).
redis.call('ZREM', KEYS[2], ARGV[2])
if redis.call('DEL', KEYS[1]) == 0 then
  return 'gone'
end
redis.call('XADD', KEYS[3], '*', 'kind', ARGV[3], 'subject', ARGV[4], 'at', ARGV[1], 'data', ARGV[5])
return 'ok'
