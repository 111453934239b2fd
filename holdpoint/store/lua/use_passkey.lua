-- Note that a passkey was used, with its new counter.
-- KEYS 1 passkeys of the person (hash)
-- ARGV 1 credential id 2 the passkey's JSON as the caller read it 3 its new JSON
-- Returns 'ok', or 'moved' (it was removed, or used by another request, meanwhile).
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 'moved'
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 'ok'
