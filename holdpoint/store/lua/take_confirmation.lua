-- Take what a person was asked to confirm: once.
-- KEYS 1 confirmation (string: JSON of by, text, shown; TTL: five minutes from the question)
-- ARGV 1 its JSON as the caller read it
-- Returns 'ok', or 'gone' (lapsed, or taken by another click).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'gone'
end
redis.call('DEL', KEYS[1])
return 'ok'
