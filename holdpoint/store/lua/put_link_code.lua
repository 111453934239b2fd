-- Put a code in the place of what a chat account was offered before, if the one-time link was not used yet.
-- KEYS 1 linking (string: JSON of the account; TTL: ten minutes) 2 link code (hash: code, value, tries; TTL: ARGV 4)
-- ARGV 1 the account's JSON as the caller read it 2 digest of the code 3 what it would bind (JSON) 4 TTL in ms
-- Returns 'ok', or 'gone' (the link was used, or has lapsed).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'gone'
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], 'code', ARGV[2], 'value', ARGV[3], 'tries', 0)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 'ok'
