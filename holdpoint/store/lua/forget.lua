-- Everything that a lost gateway had has been dealt with; what it has taken on since, if it is back, stays its own.
-- KEYS 1 gateways (zset) 2 at of the gateway (set) 3 wake of the gateway (stream)
-- ARGV 1 gateway 2 lost are those whose last beat was then (ms) or before
-- Returns 'ok', or 'kept' where it has taken on something. If it is back, its next beat puts its name there again; if it
-- has never said so, its name stays for the next sweep.
local has_more = redis.call('EXISTS', KEYS[2]) == 1
local beat = redis.call('ZSCORE', KEYS[1], ARGV[1])
if has_more and beat and tonumber(beat) <= tonumber(ARGV[2]) then
  return 'kept'
end
redis.call('ZREM', KEYS[1], ARGV[1])
if has_more then
  return 'kept'
end
redis.call('DEL', KEYS[3])
return 'ok'
