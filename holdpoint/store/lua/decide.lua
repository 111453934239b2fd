-- Write one decision, and the state that follows from it, with its event, and wake the waiter.
-- KEYS 1 hold (hash) 2 state:pending (zset) 3 index of the state that follows (zset) 4 due (zset) 5 events (stream)
--      6 wake of the waiter (stream) 7 glass (hash)
-- ARGV 1 id 2 now_ms 3 the rev that the caller saw 4 state that follows 5 due_ms that follows ('' for none)
--      6 decisions (JSON) 7 digest that follows 8 body that follows ('' unless edited) 9 '1' when somebody waits
--      10 event kind 11 extra members 12 the deadline of this rev ('' when the deadline itself decides)
--      13 ttl_ms ('' unless final) 14 why it was closed ('' unless final) 15 '1' when the claim ends with it
--      16 what stands in glass until it is reviewed (JSON; '' unless the glass is broken)
--      17 the hold's field that says that who decides has yet to confirm an approval
-- Returns the whole hold, 'moved' (another rev), 'state' (not pending) or 'late' (the deadline has passed).
local id, now, to = ARGV[1], ARGV[2], ARGV[4]
local h = redis.call('HMGET', KEYS[1], 'state', 'rev')
if h[1] ~= 'pending' then
  return 'state'
end
if h[2] ~= ARGV[3] then
  return 'moved'
end
if ARGV[12] ~= '' and tonumber(now) >= tonumber(ARGV[12]) then
  return 'late'
end
if to ~= 'pending' and not allowed('pending', to) then
  return 'state'
end
redis.call('HSET', KEYS[1], 'decisions', ARGV[6], 'digest', ARGV[7])
if ARGV[8] ~= '' then
  redis.call('HSET', KEYS[1], 'body', ARGV[8])
end
if ARGV[15] == '1' then
  redis.call('HSET', KEYS[1], 'claim', '')
end
redis.call('HDEL', KEYS[1], ARGV[17])
if to == 'pending' then
  redis.call('HINCRBY', KEYS[1], 'rev', 1)
  redis.call('HSET', KEYS[1], 'due_ms', ARGV[5])
  redis.call('ZADD', KEYS[4], ARGV[5], id)
else
  move(KEYS[1], KEYS[2], KEYS[3], KEYS[4], id, to, ARGV[5])
  if ARGV[9] == '1' then
    wake(KEYS[6], id)
  end
end
if ARGV[13] ~= '' then
  redis.call('HSET', KEYS[1], 'closed_ms', now, 'close_reason', ARGV[14])
  redis.call('PEXPIRE', KEYS[1], ARGV[13])
end
emit(KEYS[5], KEYS[1], ARGV[10], now, ARGV[11])
if ARGV[16] ~= '' then
  redis.call('HSET', KEYS[7], id, ARGV[16])
  emit(KEYS[5], KEYS[1], 'glass.broken', now, ARGV[11])
end
return redis.call('HGETALL', KEYS[1])
