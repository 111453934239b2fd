-- Write what became of a released hold, keep its response for a replay, and wake whoever waits elsewhere.
-- KEYS 1 hold (hash) 2 state:released (zset) 3 index of the state that follows (zset) 4 due (zset) 5 events (stream)
--      6 at of the releaser (set) 7 response (hash) 8 wake of the waiter (stream)
-- ARGV 1 id 2 now_ms 3 releaser 4 state that follows (completed, failed) 5 outcome (JSON) 6 ttl_ms
--      7 '1' when another gateway waits 8 event kind 9 extra members 10 '1' when there is a response 11 status
--      12 headers (JSON) 13 body
-- Returns 'ok', or 'state' when this gateway has no such hold released.
local id, now, to = ARGV[1], ARGV[2], ARGV[4]
local h = redis.call('HMGET', KEYS[1], 'state', 'releaser')
if h[1] ~= 'released' or h[2] ~= ARGV[3] or not allowed(h[1], to) then
  return 'state'
end
redis.call('HSET', KEYS[1], 'outcome', ARGV[5], 'closed_ms', now)
move(KEYS[1], KEYS[2], KEYS[3], KEYS[4], id, to, '')
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('SREM', KEYS[6], id)
if ARGV[10] == '1' then
  redis.call('HSET', KEYS[7], 'status', ARGV[11], 'headers', ARGV[12], 'body', ARGV[13])
  redis.call('PEXPIRE', KEYS[7], ARGV[6])
end
if ARGV[7] == '1' then
  wake(KEYS[8], id)
end
emit(KEYS[5], KEYS[1], ARGV[8], now, ARGV[9])
return 'ok'
