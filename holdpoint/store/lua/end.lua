-- End a hold that was not released: nobody decided in time, nobody collected it, or the requester withdrew.
-- KEYS 1 hold (hash) 2 index of the state it is in (zset) 3 index of the state that follows (zset) 4 due (zset)
--      5 events (stream) 6 wake of the waiter (stream)
-- ARGV 1 id 2 now_ms 3 the rev that the caller saw 4 state that follows (expired, cancelled) 5 why 6 ttl_ms
--      7 '1' when somebody waits 8 event kind 9 extra members
-- Returns 'ok', 'moved' (another rev) or 'state' (no such transition).
local id, now, to = ARGV[1], ARGV[2], ARGV[4]
local h = redis.call('HMGET', KEYS[1], 'state', 'rev')
if not h[1] or not allowed(h[1], to) then
  return 'state'
end
if h[2] ~= ARGV[3] then
  return 'moved'
end
move(KEYS[1], KEYS[2], KEYS[3], KEYS[4], id, to, '')
redis.call('HSET', KEYS[1], 'closed_ms', now, 'close_reason', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if ARGV[7] == '1' then
  wake(KEYS[6], id)
end
emit(KEYS[5], KEYS[1], ARGV[8], now, ARGV[9])
return 'ok'
