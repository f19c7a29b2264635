-- Takes the next place in the pace: GCRA by this server's clock. ARGV: microseconds between two, microseconds
-- between two of the hour's (0: no such rule), the hour's burst, the gate's version, how far ahead a
-- place may be. Answers 'go' and the wait, 'later' and the wait, or 'moved' and the gate.
go_on_when_full()
local between, hour_between, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ahead = tonumber(ARGV[5])
local lane = call('HMGET', P .. 'lane', 'second', 'hour', 'version', 'gate')
if (lane[3] or '0') ~= ARGV[4] then return { 'moved', lane[3] or '0', lane[4] or '' } end
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local second, hour = tonumber(lane[1] or 0), tonumber(lane[2] or 0)
-- No place is ever given this far ahead: the clock was set back, or another server's is behind.
if second > now + ahead + 2 * between then second = now end
if hour > now + ahead + hour_between * (burst + 1) then hour = now end

local place = math.max(now, second)
if place - now > ahead then return { 'later', string.format('%.0f', place - now) } end
if hour_between > 0 then
  local allowed = hour - (burst - 1) * hour_between
  if place < allowed then return { 'later', string.format('%.0f', allowed - now) } end
  hour = math.max(hour, place) + hour_between
end
call('HSET', P .. 'lane', 'second', string.format('%.0f', place + between), 'hour', string.format('%.0f', hour))
return { 'go', string.format('%.0f', place - now) }
