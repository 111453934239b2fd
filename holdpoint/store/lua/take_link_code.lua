-- Take what a code would bind a chat account to: once, and after a few wrong codes never.
-- KEYS 1 link code (hash: code, value, tries; TTL: five minutes from the confirmation)
-- ARGV 1 digest of the code that was typed 2 how many wrong ones end it
-- Returns {'ok', value}, {'wrong'}, or {'gone'} (lapsed, taken before, or that was one wrong code too many).
local code = redis.call('HGET', KEYS[1], 'code')
if not code then
  return { 'gone' }
end
if code == ARGV[1] then
  local value = redis.call('HGET', KEYS[1], 'value')
  redis.call('DEL', KEYS[1])
  return { 'ok', value }
end
if redis.call('HINCRBY', KEYS[1], 'tries', 1) >= tonumber(ARGV[2]) then
  redis.call('DEL', KEYS[1])
  return { 'gone' }
end
return { 'wrong' }
