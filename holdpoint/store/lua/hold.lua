-- Create a hold in state pending, with its event, where the limits on holds have room for it.
-- KEYS 1 hold (hash) 2 state:pending (zset) 3 due (zset) 4 events (stream) 5 same (zset) 6 idem (string) 7 at (set)
--      8 of (zset): the newest 50 holds of the person who answers for the request
--      9 state:approved (zset) 10 limited (zset; see take.lua) 11… one for each budget: open (zset: hold by creation time,
--      TTL 30 days beyond the hold's, which may be prolonged) or window (hash; see _window.lua)
-- ARGV 1 id 2 now_ms 3 due_ms 4 ttl_ms 5 what may not be known already: 'key' (the request has an
--      Idempotency-Key), 'same' (a hold of the same), '' 6 '1' when somebody waits
--      7 extra members of the event 8 ttl_ms of what leads to the hold (same, idem, of), which may be prolonged
--      9 now_ms for windows ('': Redis' own clock) 10 number of budgets
--      then for each budget: 'open', 'window', or 'back' for a window that the request has spent of and gets it back when
--      it is not held; most, or what it gets back; slot_ms of a window, or when to ask again; member of limited
--      then field, value, … of the hold
-- A hold is open while it is pending or approved: the indexes of these states are asked, so that none is counted too many.
-- Returns 'ok', 'taken' when what may not be known is known, or the place of the budget that has no
-- room, and ms until it has (of what nobody knows: when to ask again).
local id, now, due, ttl, budgets = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[10])
-- What leads to several holds lasts as long as the one that lasts longest.
local function prolong(key)
  if redis.call('PTTL', key) < tonumber(ARGV[8]) then
    redis.call('PEXPIRE', key, ARGV[8])
  end
end
if (ARGV[5] == 'key' and redis.call('EXISTS', KEYS[6]) == 1) or (ARGV[5] == 'same' and redis.call('EXISTS', KEYS[5]) == 1) then
  return 'taken'
end
local time, refusing, longest, windows = budgets > 0 and clock(ARGV[9]), 0, 0, {}
local function refuse(place, wait)
  if wait > longest then
    refusing, longest = place, wait
  end
end
for i = 1, budgets do
  local key, at = KEYS[10 + i], 7 + 4 * i
  local kind, most, span = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if kind ~= 'open' then
    windows[i] = opened(key, time, span)
    if kind == 'window' and windows[i].sum + 1 > most then
      refuse(i, room_in(windows[i], time, 1, most))
    end
  elseif redis.call('ZCARD', key) >= most then
    for _, each in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      if not redis.call('ZSCORE', KEYS[2], each) and not redis.call('ZSCORE', KEYS[9], each) then
        redis.call('ZREM', key, each)
      end
    end
    if redis.call('ZCARD', key) >= most then
      refuse(i, span)
    end
  end
end
for i = 1, budgets do
  local key, at = KEYS[10 + i], 7 + 4 * i
  if refusing == 0 and ARGV[at] == 'window' then
    spend(windows[i], 1)
  elseif refusing == 0 and ARGV[at] == 'open' then
    redis.call('ZADD', key, now, id)
    redis.call('PEXPIRE', key, ttl + 2592000000)
  elseif refusing > 0 and ARGV[at] == 'back' then
    give_back(windows[i], nil, tonumber(ARGV[at + 1]))
  end
  if windows[i] then
    keep(windows[i])
  end
  if ARGV[at] ~= 'back' then
    list(KEYS[10], ARGV[at + 3], time)
  end
end
if refusing > 0 then
  return { refusing, longest }
end
if ARGV[5] == 'key' then
  redis.call('SET', KEYS[6], id, 'PX', ARGV[8])
end
local fields = {}
for i = 11 + 4 * budgets, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('HSET', KEYS[1], 'rev', 1, 'state', 'pending', 'due_ms', due)
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('ZADD', KEYS[2], now, id)
redis.call('ZADD', KEYS[3], due, id)
if ARGV[6] == '1' then
  redis.call('ZADD', KEYS[5], now, id)
  prolong(KEYS[5])
end
redis.call('ZADD', KEYS[8], now, id)
redis.call('ZREMRANGEBYRANK', KEYS[8], 0, -51)
prolong(KEYS[8])
if ARGV[6] == '1' then
  redis.call('SADD', KEYS[7], id)
end
emit(KEYS[4], KEYS[1], 'hold.created', now, ARGV[7])
return 'ok'
