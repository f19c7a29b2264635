-- Makes the index of what was admitted before there was one. ARGV: how many to go on with. Answers how many are
-- left. What is admitted meanwhile is in it already, and marked twice is marked.
if call('GET', P .. 'indexed') == 'all' then return 0 end
local base, length = tonumber(call('GET', P .. 'base') or 0), call('LLEN', P .. 'log')
local from = math.max(base, tonumber(call('GET', P .. 'indexed') or 0))
local to = math.min(base + length, from + tonumber(ARGV[1]))
for _, id in ipairs(call('LRANGE', P .. 'log', from - base, to - base - 1)) do
  local record = id ~= '' and load(id)
  if record then
    mark(record.q, record.s, record.o, 1)
    note_zone(record.q, record.r)
  end
end
write_zones()
local left = base + length - to
call('SET', P .. 'indexed', left > 0 and string.format('%.0f', to) or 'all')
return left
