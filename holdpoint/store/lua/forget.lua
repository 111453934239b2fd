-- Everything that a lost gateway had has been dealt with; what it has taken on since, if it is back, stays its own.
-- KEYS 1 gateways (zset) 2 at of the gateway (set) 3 wake of the gateway (stream)
-- ARGV 1 gateway 2 lost are those whose last beat was then (ms) or before
-- Returns 'ok', or 'kept' where it is back, or has taken on something. Then its name stays, for the sweep after its next loss,
-- and a wake-up for no hold tells it that what it had was given up.
local beat = redis.call('ZSCORE', KEYS[1], ARGV[1])
local is_back = beat and tonumber(beat) > tonumber(ARGV[2])
if is_back or redis.call('EXISTS', KEYS[2]) == 1 then
  wake(KEYS[3], '')
  return 'kept'
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[3])
return 'ok'
