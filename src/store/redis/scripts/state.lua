-- Walks one uncommon state, newest first. ARGV: not at or above this number ('' from the end), how many at
-- most, how many to look at, the state, source ('' any), since, until. Answers where to go on ('' at the end) and
-- the records.
local below, max, look, state, source = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local since, before = tonumber(ARGV[6]), tonumber(ARGV[7])
local CHUNK = 100
local found, looked = {}, 0
while looked < look do
  local from = below ~= '' and '(' .. below or '+inf'
  local ids = call('ZREVRANGEBYSCORE', P .. 's' .. state, from, '-inf', 'WITHSCORES', 'LIMIT', 0, CHUNK)
  if #ids == 0 then return { '', found } end
  for place = 1, #ids, 2 do
    below = ids[place + 1]
    local record = load(ids[place])
    if record and (source == '' or source == record.o) and (not since or record.r >= since)
      and (not before or record.r < before) then
      found[#found + 1] = shown(ids[place], record, false)
      if #found == max then return { below, found } end
    end
  end
  looked = looked + #ids / 2
end
return { below, found }
