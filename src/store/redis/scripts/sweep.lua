-- ARGV: state, settled before, now, how many at most. Answers how many entries were worked off.
local state, before, now, max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local settled_ones, log = P .. 't' .. state, P .. 'log'

-- What the index has of numbers that are no more; of the last ones too, where the log is empty.
local function cut_index(from, to)
  local more = call('LLEN', log) == 0 and 0 or 1
  for zone = math.floor(from / ZONE), math.floor(to / ZONE) - more do
    call('HDEL', P .. 'zones', string.format('%.0f', zone))
  end
  for block = math.floor(from / BLOCK), math.floor(to / BLOCK) - more do
    for _, field in ipairs(call('HKEYS', P .. 'ledger')) do
      local source, state = field:match('^(.*) (%d)$')
      if source then call('DEL', bits_of(block, state, source)) end
    end
  end
end

-- The log's head may be cut off up to the first record that is still there.
local function cut_log()
  local base = tonumber(call('GET', P .. 'base') or 0)
  local cut = 0
  while call('LINDEX', log, 0) == '' and cut < 2 * max + 16 do
    call('LPOP', log)
    cut = cut + 1
  end
  if cut > 0 then
    call('SET', P .. 'base', string.format('%.0f', base + cut))
    cut_index(base, base + cut)
  end
end

local function remove(id, record)
  call('DEL', P .. 'r' .. id)
  leave_queue(id, record)
  for _, hash in ipairs(hashes_of(record)) do drop(hash, id, now) end
  if record.d then call('ZREM', P .. 'f' .. record.d, id) end
  if record.u then call('HDEL', P .. 'u' .. record.u:sub(-4), record.u) end
  if record.x then call('ZREM', P .. 'x' .. record.x, id) end
  mark(record.q, record.s, record.o, 0)
  local place = record.q - tonumber(call('GET', P .. 'base') or 0)
  if place >= 0 and call('LINDEX', log, place) == id then call('LSET', log, place, '') end
end

local swept = 0
while swept < max do
  local entry = call('LINDEX', settled_ones, 0)
  if not entry then break end
  local id, at = entry:sub(1, 16), struct.unpack('>I6', entry:sub(17, 22))
  if at >= before then break end
  call('LPOP', settled_ones)
  local record = load(id)
  -- One that was replayed or erased since then stands further behind, or in another list.
  if record and record.s == state and record.t == at then
    remove(id, record)
  end
  swept = swept + 1
end
if swept > 0 then cut_log() end
return swept
