-- A gateway process starts: earlier incarnations of the same name are gone, whatever their last beat says.
-- KEYS 1 gateways (zset)
-- ARGV 1 new gateway 2 now_ms 3 name (what stands before the '#' of a gateway)
-- Returns how many were retired.
local retired = 0
for _, gateway in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(gateway, 1, #ARGV[3] + 1) == ARGV[3] .. '#' and gateway ~= ARGV[1] then
    redis.call('ZADD', KEYS[1], 0, gateway)
    retired = retired + 1
  end
end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return retired
