-- ARGV: forgotten before, how many at most. Answers how many are known no more.
local old = call('ZRANGEBYSCORE', P .. 'forgotten', '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
if #old > 0 then call('ZREM', P .. 'forgotten', unpack(old)) end
return #old
