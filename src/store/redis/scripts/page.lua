-- Walks the log from its newest end, or from a place in it. ARGV: not at or above this number ('' from the end), how
-- many at most, how many to look at, states ('' all of them, else as digits), source ('' any), since, until.
-- Answers where to go on ('' at the log's beginning) and the records.
local below, max, look, states, source = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local since, before = tonumber(ARGV[6]), tonumber(ARGV[7])
local CHUNK = 64
local base = tonumber(call('GET', P .. 'base') or 0)
local upper = call('LLEN', P .. 'log') - 1
if below ~= '' then upper = math.min(upper, tonumber(below) - base - 1) end

local function wanted(record)
  return (states == '' or states:find(record.s, 1, true)) and (source == '' or source == record.o)
    and (not since or record.r >= since) and (not before or record.r < before)
end

local found, looked = {}, 0
while upper >= 0 and looked < look do
  local lower = math.max(0, upper - CHUNK + 1)
  local ids = call('LRANGE', P .. 'log', lower, upper)
  for place = #ids, 1, -1 do
    local record = ids[place] ~= '' and load(ids[place])
    if record and wanted(record) then
      found[#found + 1] = shown(ids[place], record, false)
      if #found == max then return { tostring(base + lower + place - 1), found } end
    end
  end
  looked = looked + #ids
  upper = lower - 1
end
return { upper >= 0 and string.format('%.0f', base + upper + 1) or '', found }
