-- Put in front of the scripts that count what limits allow (limits.py). Nothing here names a key.
--
-- A window is cut into slots, numbered from 1970: what was spent counts from its slot on until SLOTS whole slots have
-- followed. So never more than a budget is spent in any time as long as a window, and it lasts 1/SLOTS longer than that.
-- A window is a hash: `at` the newest slot that was used, `sum` all that counts, `lent` the part of it that gateways got
-- in slot `at` to spend by themselves, and by number of the slot what was spent in it. TTL: a window and a slot.
local SLOTS = 120

-- The time in ms: as given, or where that is '' by Redis' own clock, which is one for all gateways.
local function clock(given)
  if given ~= '' then
    return tonumber(given)
  end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The clock was set back by so many slots: everything was spent as long ago as before.
local function set_back(key, slots)
  local h = redis.call('HGETALL', key)
  redis.call('DEL', key)
  for i = 1, #h, 2 do
    local slot = tonumber(h[i])
    redis.call('HSET', key, slot and slot - slots or h[i], h[i + 1])
  end
end

-- Take what is over out of the window; to be changed by `spend`, and written by `keep`.
local function opened(key, now, slot_ms)
  local slot = math.floor(now / slot_ms)
  local h = redis.call('HMGET', key, 'at', 'sum', 'lent')
  local at = tonumber(h[1] or slot)
  local w = { key = key, slot = slot, slot_ms = slot_ms, spent = 0, is_new = not h[1] or at ~= slot,
    sum = tonumber(h[2] or 0), lent = at == slot and tonumber(h[3] or 0) or 0 }
  if at > slot then
    set_back(key, at - slot)
  elseif slot - at > SLOTS then
    redis.call('DEL', key)
    w.sum = 0
  elseif slot > at then
    local over = {}
    for each = at - SLOTS, slot - SLOTS - 1 do
      over[#over + 1] = each
    end
    for _, spent in ipairs(redis.call('HMGET', key, unpack(over))) do
      w.sum = w.sum - (tonumber(spent or 0))
    end
    redis.call('HDEL', key, unpack(over))
  end
  return w
end

local function spend(w, amount)
  w.sum, w.spent = w.sum + amount, w.spent + amount
end

local function keep(w)
  if w.spent ~= 0 then
    redis.call('HINCRBY', w.key, w.slot, w.spent)
    w.spent = 0
  end
  redis.call('HSET', w.key, 'at', w.slot, 'sum', w.sum, 'lent', w.lent)
  redis.call('PEXPIRE', w.key, (SLOTS + 1) * w.slot_ms)
end

-- In how many ms there is room for `cost` in a budget of `most`, if nobody spends anything meanwhile.
local function room_in(w, now, cost, most)
  local need, slots = w.sum + cost - most, {}
  for each = w.slot - SLOTS, w.slot - 1 do
    slots[#slots + 1] = each
  end
  for place, spent in ipairs(redis.call('HMGET', w.key, unpack(slots))) do
    need = need - (tonumber(spent or 0))
    if need <= 0 then
      return (slots[place] + SLOTS + 1) * w.slot_ms - now
    end
  end
  return (w.slot + SLOTS + 1) * w.slot_ms - now
end

-- What was spent a moment ago counts no longer: that of a share in its `slot`, of a request (nil) nobody knows in which.
-- One may have taken what another is to give, so the slots around are looked through until all of it is found; from the
-- oldest on, so that nothing that stays counts for less than its time.
local function give_back(w, slot, amount)
  if amount <= 0 or (slot and slot < w.slot - SLOTS) then
    return
  end
  local first, last = (slot or w.slot) - 10, slot and math.min(slot + 10, w.slot) or w.slot
  local function take_from(each)
    local found = amount > 0 and math.min(tonumber(redis.call('HGET', w.key, each) or 0), amount) or 0
    if found > 0 then
      redis.call('HINCRBY', w.key, each, -found)
      w.sum, amount = w.sum - found, amount - found
    end
  end
  if slot then
    take_from(slot)
  end
  for each = first, last do
    take_from(each)
  end
end

-- Name the budget among those that were used, once in each slot; those not used for a day are named no longer.
local function list(index, member, now)
  redis.call('ZADD', index, now, member)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now - 86400000)
  redis.call('PEXPIRE', index, 86400000)
end
