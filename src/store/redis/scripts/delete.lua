-- What a platform wants erased. ARGV: me, now, source, external id's hash, the delivery that the
-- submission would be known by, the deletion's own id, for how long it is known, window, 1 when merged
-- ones are told, when what may have been sent is looked for. Answers how many records were erased.
local MAY_BE_THERE = 'the submission that it had joined was erased while it was on its way: it may have been sent'
local window, comments = tonumber(ARGV[8]), ARGV[9] == '1'
local now, source, erased = tonumber(ARGV[2]), ARGV[3], 0
for _, id in ipairs(call('ZRANGE', P .. 'x' .. ARGV[4], 0, 99)) do
  local record = load(id)
  if record and record.o == source and record.s ~= ERASED then
    if record.s == PENDING or record.s == UNKNOWN then
      -- Whoever else has joined it goes on without it; where it may have been made, that is looked for.
      local sent = record.e or (record.l or record.s == UNKNOWN) and record.r
      local heir_id, heir = inherit(id, record, now, window, comments, true)
      if heir and sent and not is_notice(record) then
        become_unknown(heir_id, heir, MAY_BE_THERE, tonumber(ARGV[10]))
        heir.e = sent
        save(heir_id, heir)
      end
    end
    erase(id, record, now)
    erased = erased + 1
  end
end
-- Should it come late, or again, it is taken for this.
local known = time(now + tonumber(ARGV[7])) .. ARGV[6]
call('SET', P .. 'd' .. ARGV[5], known, 'PX', ARGV[7], 'NX')
finish(ARGV[1])
return erased
