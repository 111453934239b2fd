-- Spend one use of a grant for one request, with its event, while the grant still has one.
-- KEYS 1 grants (hash) 2 uses of this grant (hash: request id to number; TTL as given) 3 revision (int) 4 traffic (stream)
-- ARGV 1 grant id 2 now_ms 3 request id 4 the most uses that the policy in force lets a grant have
--      5 further members of the event's data (JSON, a comma in front) 6 how long the uses are kept after the grant's end
-- Returns 'ok' (also when this very request had its use already), 'none', 'revoked', 'expired' or 'spent'.
local raw = redis.call('HGET', KEYS[1], ARGV[1])
if not raw then
  return 'none'
end
local grant, now = cjson.decode(raw), tonumber(ARGV[2])
if grant.revoked_ms ~= cjson.null then
  return 'revoked'
end
if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 1 then
  return 'ok'
end
if now >= grant.expires_ms then
  return 'expired'
end
local used = redis.call('HLEN', KEYS[2])
if used >= math.min(grant.uses, tonumber(ARGV[4])) then
  return 'spent'
end
used = used + 1
redis.call('HSET', KEYS[2], ARGV[3], used)
redis.call('PEXPIRE', KEYS[2], string.format('%.0f', grant.expires_ms - now + tonumber(ARGV[6])))
if used == grant.uses then
  redis.call('INCR', KEYS[3]) -- every process stops offering it
end
redis.call('XADD', KEYS[4], '*', 'kind', 'grant.used', 'subject', ARGV[1], 'at', ARGV[2],
  'data', '{"use":' .. used .. ',"uses":' .. string.format('%d', grant.uses) .. ARGV[5] .. '}')
return 'ok'
