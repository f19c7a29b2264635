-- The log from its newest end, or from a place in it. ARGV: not at or above this number ('' from the end), how
-- many at most, how much to look at, states ('' all of them, else as digits), source ('' any), since, until.
-- Answers where to go on ('' at the log's beginning) and the records.
local below, max, look, states, source = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local since, before = tonumber(ARGV[6]), tonumber(ARGV[7])
local base = tonumber(call('GET', P .. 'base') or 0)
local limit = base + call('LLEN', P .. 'log')
if below ~= '' then limit = math.min(limit, tonumber(below)) end
local found, looked = {}, 0

-- The states and sources that are asked for, of those that there have been; nil where everything is.
local groups
if states ~= '' or source ~= '' then
  groups = {}
  for _, field in ipairs(call('HKEYS', P .. 'ledger')) do
    local of, state = field:match('^(.*) (%d)$')
    if of and (source == '' or source == of) and (states == '' or states:find(state, 1, true)) then
      groups[#groups + 1] = { state = state, source = of }
    end
  end
end

-- The newest number of a group below `under`; -1 where there is none.
local function newest(group, under)
  local number = under - 1
  while number >= base do
    looked = looked + 1
    local block = math.floor(number / BLOCK)
    local key, top = bits_of(block, group.state, group.source), (block + 1) * BLOCK - 1
    local place = top - number
    local within = place % 8
    if within ~= 0 then -- the rest of its byte: Redis looks for whole ones
      local at = (place - within) / 8
      local byte = call('GETRANGE', key, at, at):byte() or 0
      for bit = within, 7 do
        if math.floor(byte / 2 ^ (7 - bit)) % 2 == 1 then return top - (place - within + bit) end
      end
      place = place - within + 8
    end
    if place < BLOCK then
      local first = call('BITPOS', key, 1, place / 8)
      if first >= 0 then return top - first end
    end
    number = block * BLOCK - 1
  end
  return -1
end

local function next_below(under)
  if not groups then return under - 1 end
  local next = -1
  for _, group in ipairs(groups) do
    if not group.at or group.at >= under then group.at = newest(group, under) end
    next = math.max(next, group.at)
  end
  return next
end

-- Whether a zone may hold what came in the time.
local known = {}
local function may_hold(zone)
  if known[zone] == nil then
    local written = call('HGET', P .. 'zones', string.format('%.0f', zone))
    local earliest, latest
    if written then earliest, latest = struct.unpack('>I6I6', written) end
    known[zone] = not written or ((not since or latest >= since) and (not before or earliest < before))
  end
  return known[zone]
end

local function wanted(record)
  return (states == '' or states:find(record.s, 1, true)) and (source == '' or source == record.o)
    and (not since or record.r >= since) and (not before or record.r < before)
end

while looked < look do
  local number = next_below(limit)
  if number < base then return { '', found } end
  looked = looked + 1
  local zone = math.floor(number / ZONE)
  if (since or before) and not may_hold(zone) then
    limit = zone * ZONE
  else
    limit = number
    local id = call('LINDEX', P .. 'log', number - base)
    local record = id and id ~= '' and load(id)
    if record and wanted(record) then
      found[#found + 1] = shown(id, record, false)
      if #found == max then break end
    end
  end
end
return { limit > base and string.format('%.0f', limit) or '', found }
