-- Give a lease back, if it is one's own.
-- KEYS 1 lease (string)
-- ARGV 1 holder
-- Returns 1 when it was.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
