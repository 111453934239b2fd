-- Put a new version of the policy in force, if the head is the one that the caller saw.
-- KEYS 1 revision (int) 2 policy:head (int) 3 policy:versions (hash) 4 events (stream)
-- ARGV 1 now_ms 2 head that the caller saw 3 the version's JSON 4 the event's data (JSON)
-- Returns {'ok', version}, or {'moved', head}.
local head = tonumber(redis.call('GET', KEYS[2]) or '0')
if head ~= tonumber(ARGV[2]) then
  return { 'moved', head }
end
local version = head + 1
redis.call('HSET', KEYS[3], version, ARGV[3])
redis.call('SET', KEYS[2], version)
redis.call('INCR', KEYS[1])
redis.call('XADD', KEYS[4], '*', 'kind', 'policy.pushed', 'subject', version, 'at', ARGV[1], 'data', ARGV[4])
return { 'ok', version }
