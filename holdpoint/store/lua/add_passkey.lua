-- Add a passkey of one person, with its event; an invitation that allowed for it is spent.
-- KEYS 1 passkeys of the person (hash) 2 passkeys:owners (hash) 3 events (stream)
--      4 the invitation (string: JSON; TTL: one day), or the person's passkeys again where none is needed
-- ARGV 1 now_ms 2 credential id 3 principal 4 the passkey's JSON 5 most passkeys of one person
--      6 the invitation's JSON as the caller read it ('' where none is needed) 7 event kind 8 data (JSON)
-- Returns 'ok', 'known' (somebody has this passkey), 'full', or 'gone' (the invitation was used meanwhile).
if ARGV[6] ~= '' and redis.call('GET', KEYS[4]) ~= ARGV[6] then
  return 'gone'
end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then
  return 'known'
end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then
  return 'full'
end
if ARGV[6] ~= '' then
  redis.call('DEL', KEYS[4])
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('XADD', KEYS[3], '*', 'kind', ARGV[7], 'subject', ARGV[3], 'at', ARGV[1], 'data', ARGV[8])
return 'ok'
