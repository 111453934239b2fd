-- Note once what became of similar requests. Changes nothing that anybody decides on: no rev, no event.
-- KEYS 1 hold (hash)
-- ARGV 1 Similar (JSON)
-- Returns what is noted (JSON): this, or what somebody noted before; false when there is no such hold (any more).
if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
redis.call('HSETNX', KEYS[1], 'similar', ARGV[1])
return redis.call('HGET', KEYS[1], 'similar')
