-- Take on to say things in the thread of a card. Each of them can be taken once, by whichever bot comes first.
-- KEYS 1 said (set)
-- ARGV 1 ttl_ms 2… names of the things
-- Returns those that nobody had taken.
local mine = {}
for i = 2, #ARGV do
  if redis.call('SADD', KEYS[1], ARGV[i]) == 1 then
    mine[#mine + 1] = ARGV[i]
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return mine
