-- A hold without its body.
-- KEYS 1 hold (hash)
-- Returns field, value, … as HGETALL does; nothing when there is no such hold.
local fields, found = {}, {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if field ~= 'body' then
    fields[#fields + 1] = field
  end
end
if #fields > 0 then
  for place, value in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
    found[2 * place - 1], found[2 * place] = fields[place], value
  end
end
return found
