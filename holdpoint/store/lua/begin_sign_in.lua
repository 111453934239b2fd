-- Somebody begins to sign in, unless too many were begun from the same address.
-- KEYS 1 sign-in (string: JSON; TTL: ARGV 2) 2 how many were begun from the address (int; TTL: ARGV 4 from the first)
-- ARGV 1 JSON 2 TTL of the sign-in in ms 3 most from one address 4 … within so many ms
-- Returns 'ok', or 'many'.
local count = redis.call('INCR', KEYS[2])
if count == 1 then
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
if count > tonumber(ARGV[3]) then
  return 'many'
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'ok'
