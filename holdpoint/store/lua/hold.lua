-- Create a hold in state pending, with its event.
-- KEYS 1 hold (hash) 2 state:pending (zset) 3 due (zset) 4 events (stream) 5 same (zset) 6 idem (string) 7 at (set)
--      8 of (zset; TTL as the hold): the newest 50 holds of the person who answers for the request
-- ARGV 1 id 2 now_ms 3 due_ms 4 ttl_ms 5 '1' when the request has an Idempotency-Key 6 '1' when somebody waits
--      7 extra members of the event 8… field, value, … of the hold
-- Returns 'ok', or 'taken' when the Idempotency-Key stands for another hold by now.
local id, now, due, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if ARGV[5] == '1' then
  if not redis.call('SET', KEYS[6], id, 'NX', 'PX', ttl) then
    return 'taken'
  end
end
local fields = {}
for i = 8, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('HSET', KEYS[1], 'rev', 1, 'state', 'pending', 'due_ms', due)
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('ZADD', KEYS[2], now, id)
redis.call('ZADD', KEYS[3], due, id)
redis.call('ZADD', KEYS[5], now, id)
redis.call('PEXPIRE', KEYS[5], ttl)
redis.call('ZADD', KEYS[8], now, id)
redis.call('ZREMRANGEBYRANK', KEYS[8], 0, -51)
redis.call('PEXPIRE', KEYS[8], ttl)
if ARGV[6] == '1' then
  redis.call('SADD', KEYS[7], id)
end
emit(KEYS[4], KEYS[1], 'hold.created', now, ARGV[7])
return 'ok'
