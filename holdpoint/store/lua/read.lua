-- Note that somebody has read all that is held, with its event; once for each person and text.
-- KEYS 1 hold (hash) 2 read (set; TTL as the hold's, from now on) 3 events (stream)
-- ARGV 1 id 2 now_ms 3 "digest principal" 4 data of the event (JSON)
-- Returns 'ok', or 'none' when there is no such hold.
local ttl = redis.call('PTTL', KEYS[1])
if ttl <= 0 then
  return 'none'
end
if redis.call('SADD', KEYS[2], ARGV[3]) == 1 then
  redis.call('PEXPIRE', KEYS[2], ttl)
  redis.call('XADD', KEYS[3], '*', 'kind', 'card.read', 'subject', ARGV[1], 'at', ARGV[2], 'data', ARGV[4])
end
return 'ok'
