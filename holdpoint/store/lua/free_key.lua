-- An Idempotency-Key may stand for another hold, once the one that it stood for is kept no longer.
-- KEYS 1 idem (string: hold id) 2 the hold (hash)
-- ARGV 1 id of the hold
-- Returns 'ok', or 'kept'.
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('EXISTS', KEYS[2]) == 1 then
  return 'kept'
end
redis.call('DEL', KEYS[1])
return 'ok'
