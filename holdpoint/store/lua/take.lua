-- Spend of many windows for many requests: of each request all that it costs, or nothing.
-- KEYS 1 limited (zset: budget by when it was used last, ms; TTL a day) 2… windows (hash; see _window.lua)
-- ARGV 1 now_ms ('': Redis' own clock) 2 number of windows
--      then for each window: slot_ms, most, how much the gateway would like to spend by itself, the share that it had
--      and how much of that is left and in which slot it got it, member of limited
--      then for each request: number of windows, and for each of these its place (from 1) and what it costs there
-- A window may be there twice, with another `most`: the policy has just changed, and a share of the one before is out.
-- All shares of one window together are at most a hundredth of it, and there are none in its last tenth: so much is not
-- used at most when gateways die with theirs. A share ends with the slot.
-- Returns, one after the other, for each window: slot, ms that are left of it, share; then for each request: 0, or the
-- place of the window that has no room for the longest time, and ms until it has.
local now, count = clock(ARGV[1]), tonumber(ARGV[2])
local known, asked, found, at = {}, {}, {}, 3
for i = 1, count do
  local w = known[KEYS[1 + i]] or opened(KEYS[1 + i], now, tonumber(ARGV[at]))
  known[KEYS[1 + i]] = w
  asked[i] = { window = w, most = tonumber(ARGV[at + 1]), wanted = tonumber(ARGV[at + 2]), member = ARGV[at + 6] }
  local had, left, slot = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  give_back(w, slot, left)
  if slot == w.slot then
    w.lent = math.max(w.lent - had, 0)
  end
  at = at + 7
end
local answers = {}
while at <= #ARGV do
  local costs, refusing, longest = tonumber(ARGV[at]), 0, 0
  for i = 1, costs do
    local place, cost = tonumber(ARGV[at + 2 * i - 1]), tonumber(ARGV[at + 2 * i])
    local w, most = asked[place].window, asked[place].most
    if w.sum + cost > most then
      local wait = room_in(w, now, cost, most)
      if wait > longest then
        refusing, longest = place, wait
      end
    end
  end
  if refusing == 0 then
    for i = 1, costs do
      spend(asked[tonumber(ARGV[at + 2 * i - 1])].window, tonumber(ARGV[at + 2 * i]))
    end
  end
  answers[#answers + 1], answers[#answers + 2] = refusing, longest
  at = at + 1 + 2 * costs
end
for _, each in ipairs(asked) do
  local w = each.window
  local share = math.min(each.wanted, math.floor(each.most / 100) - w.lent, math.floor(each.most * 9 / 10) - w.sum)
  share = math.max(share, 0)
  spend(w, share)
  w.lent = w.lent + share
  keep(w)
  if w.is_new then
    list(KEYS[1], each.member, now)
  end
  found[#found + 1], found[#found + 2], found[#found + 3] = w.slot, (w.slot + 1) * w.slot_ms - now, share
end
for _, each in ipairs(answers) do
  found[#found + 1] = each
end
return found
