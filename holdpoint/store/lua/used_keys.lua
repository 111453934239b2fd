-- Note when keys were last used. Whichever process says so, and in whichever order: the latest counts.
-- KEYS 1 uses (hash: key id to ms; no TTL: as many entries as there are keys)
-- ARGV key id, ms, key id, ms, …
-- Returns 'ok'.
for i = 1, #ARGV, 2 do
  if tonumber(ARGV[i + 1]) > tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0') then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return 'ok'
