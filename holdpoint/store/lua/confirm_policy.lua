-- Put a proposed version of the policy in force, if nobody touched the change and the head is still the one it was made from.
-- KEYS 1 changes (hash) 2 revision (int) 3 policy:head (int) 4 policy:versions (hash) 5 events (stream)
-- ARGV 1 now_ms 2 change id 3 the change's JSON as the caller read it 4 head that it was made from 5 the version's JSON
--      6 data of change.confirmed (JSON) 7 data of policy.pushed (JSON)
-- Returns {'ok', version}, {'gone', 0} (confirmed or dropped meanwhile), or {'moved', head}.
if redis.call('HGET', KEYS[1], ARGV[2]) ~= ARGV[3] then
  return { 'gone', 0 }
end
local head = tonumber(redis.call('GET', KEYS[3]) or '0')
if head ~= tonumber(ARGV[4]) then
  return { 'moved', head }
end
local version = head + 1
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[4], version, ARGV[5])
redis.call('SET', KEYS[3], version)
redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[5], '*', 'kind', 'change.confirmed', 'subject', ARGV[2], 'at', ARGV[1], 'data', ARGV[6])
redis.call('XADD', KEYS[5], '*', 'kind', 'policy.pushed', 'subject', version, 'at', ARGV[1], 'data', ARGV[7])
return { 'ok', version }
