-- Begin a card that stands for several holds, with its first one: the hold's own place becomes a pointer to it.
-- KEYS 1 bundle (hash) 2 cards of the hold (hash) 3 cards of the bundle (hash) 4 digests (hash: target to bundle id)
-- ARGV 1 bundle id 2 kind (same, digest) 3 target 4 hold 5 now_ms 6 intent of the hold's place ('' when it has none)
--      7 pointer (JSON of CardPlace) 8 ttl_ms 9 '1' when the hold's own message becomes the bundle's
-- Returns 'ok', or 'moved' when the hold's place is another one by now.
local now = redis.call('HGET', KEYS[2], ARGV[3])
if (now and cjson.decode(now).intent or '') ~= ARGV[6] then
  return 'moved'
end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'kind', ARGV[2], 'target', ARGV[3], 'created_ms', ARGV[5],
  'holds', cjson.encode({ ARGV[4] }))
redis.call('PEXPIRE', KEYS[1], ARGV[8])
if now and ARGV[9] == '1' then
  redis.call('HSET', KEYS[3], ARGV[3], now)
  redis.call('PEXPIRE', KEYS[3], ARGV[8])
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[7])
redis.call('PEXPIRE', KEYS[2], ARGV[8])
if ARGV[2] == 'digest' then
  redis.call('HSET', KEYS[4], ARGV[3], ARGV[1])
end
return 'ok'
