-- Group commit: append many entries to the two streams, all or none.
-- KEYS 1 events (stream) 2 traffic (stream)
-- ARGV 1 for each entry five numbers: stream (1 or 2), at_ms, and the lengths of kind, subject and data in bytes
--      2 kind, subject and data (JSON) of each entry, one after the other
-- Two long arguments and not five short ones for each entry: packing arguments is most of what a commit costs.
-- Returns how many were appended.
local texts, from, count = ARGV[2], 1, 0
for stream, at, kind, subject, data in string.gmatch(ARGV[1], '(%d+) (%d+) (%d+) (%d+) (%d+)') do
  local to_kind = from + kind
  local to_subject = to_kind + subject
  local to_data = to_subject + data
  redis.call('XADD', KEYS[tonumber(stream)], '*', 'kind', string.sub(texts, from, to_kind - 1),
    'subject', string.sub(texts, to_kind, to_subject - 1), 'at', at, 'data', string.sub(texts, to_subject, to_data - 1))
  from, count = to_data, count + 1
end
return count
