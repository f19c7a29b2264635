-- What a platform wants erased. ARGV: me, now, source, external id's hash, the delivery that the
-- submission would be known by, the deletion's own id, for how long it is known, window, 1 when merged
-- ones are told, when what may have been sent is looked for. Answers how many records were erased.
local window, comments = tonumber(ARGV[8]), ARGV[9] == '1'
local now, source, erased = tonumber(ARGV[2]), ARGV[3], 0
for _, id in ipairs(call('ZRANGE', P .. 'x' .. ARGV[4], 0, 99)) do
  local record = load(id)
  if record and record.o == source and record.s ~= ERASED then
    erase_alone(id, record, now, window, comments, tonumber(ARGV[10]))
    erased = erased + 1
  end
end
-- Should it come late, or again, it is taken for this.
local known = time(now + tonumber(ARGV[7])) .. ARGV[6]
call('SET', P .. 'd' .. ARGV[5], known, 'PX', ARGV[7], 'NX')
finish(ARGV[1])
return erased
