-- Put in front of every script. Nothing here names a key: all keys come in KEYS.
--
-- A hold is a hash (codec.py). `head` is a ready-made run of JSON members (requester, connection) that every event of
-- the hold repeats, so that an event is built from the stored state itself and cannot disagree with it.

-- The state machine; holdpoint.model.TRANSITIONS is the same table, and a test compares the two.
local NEXT = {
  pending = { approved = true, rejected = true, expired = true, cancelled = true },
  approved = { released = true, expired = true },
  released = { completed = true, failed = true },
  completed = {}, failed = {}, rejected = {}, expired = {}, cancelled = {},
}

local function allowed(from, to)
  return NEXT[from] ~= nil and NEXT[from][to] == true
end

-- Append one event. `extra` is '' or further JSON members, each with a comma in front.
local function emit(stream, hold_key, kind, now, extra)
  local h = redis.call('HMGET', hold_key, 'id', 'rev', 'state', 'digest', 'head')
  local data = '{"hold":"' .. h[1] .. '","rev":' .. h[2] .. ',"state":"' .. h[3] .. '","digest":"' .. h[4] .. '",'
    .. h[5] .. extra .. '}'
  redis.call('XADD', stream, '*', 'kind', kind, 'subject', h[1], 'at', now, 'data', data)
end

-- Tell the gateway process that waits. Bounded, and gone with the process: a waiter that missed it reads the state.
local function wake(stream, id)
  redis.call('XADD', stream, 'MAXLEN', '~', 100000, '*', 'hold', id)
  redis.call('PEXPIRE', stream, 60000)
end

-- Put a hold into another state in hash and indexes, with a new due time ('' takes it off the timer's list).
local function move(hold_key, from_index, to_index, due_index, id, to, due)
  redis.call('HINCRBY', hold_key, 'rev', 1)
  redis.call('HSET', hold_key, 'state', to, 'due_ms', due)
  redis.call('ZREM', from_index, id)
  redis.call('ZADD', to_index, redis.call('HGET', hold_key, 'created_ms'), id)
  if due == '' then
    redis.call('ZREM', due_index, id)
  else
    redis.call('ZADD', due_index, due, id)
  end
end
