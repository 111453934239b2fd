-- Group commit: append many entries to the two streams, all or none.
-- KEYS 1 events (stream) 2 traffic (stream)
-- ARGV 1 all entries, one after the other. Of each: five numbers and a line break (stream (1 or 2), at_ms, and the
--        lengths of kind, subject and data in bytes), then kind, subject and data (JSON)
-- One long argument and not five short ones for each entry: packing arguments is most of what a commit costs.
-- Returns how many were appended.
local texts, from, count = ARGV[1], 1, 0
while from <= #texts do
  local stream, at, kind, subject, data, first = string.match(texts, '^(%d+) (%d+) (%d+) (%d+) (%d+)\n()', from)
  local to_subject = first + kind
  local to_data = to_subject + subject
  from, count = to_data + data, count + 1
  redis.call('XADD', KEYS[tonumber(stream)], '*', 'kind', string.sub(texts, first, to_subject - 1),
    'subject', string.sub(texts, to_subject, to_data - 1), 'at', at, 'data', string.sub(texts, to_data, from - 1))
end
return count
