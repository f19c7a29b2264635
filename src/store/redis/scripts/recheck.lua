-- After another server took over: what this gateway had in flight, or had settled, in the last
-- minutes. ARGV: me, now, reason, 1 when merged ones are told, when what becomes unknown is looked for,
-- then for each: id, fence, CareSoft's lead and requester ('' when it is not created,
-- or not yet). Answers how many were put right.
local FIELDS = 4
local now, mended = tonumber(ARGV[2]), 0
for at = 6, #ARGV, FIELDS do
  local id, fence, lead, requester = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3]
  local record = load(id)
  -- A notice that was a lead when it was leased: this server has not heard that it was filled. One with
  -- the same fence is a lead that died and whose notice is to be fetched again.
  local unfilled = record and is_notice(record) and (record.f or 0) < fence
  local newest = record and (record.f or 0) <= fence and (unfilled or not is_notice(record))
  if newest and lead ~= '' and (record.s == PENDING or record.s == UNKNOWN) then
    leave_queue(id, record)
    event(record, now, 'rechecked created')
    become(id, record, CREATED)
    settled(id, record, now)
    record.f, record.y, record.p = fence, nil, nil
    record.u, record.v = lead, requester ~= '' and requester or nil
    call('HSET', P .. 'u' .. lead:sub(-4), lead, id)
    follow_up(id, record, now, ARGV[4] == '1')
    save(id, record)
    mended = mended + 1
  elseif unfilled then
    -- Once it is filled again it is looked for.
    event(record, now, 'rechecked unknown')
    leave_queue(id, record)
    record.e, record.f = record.r, fence
    enter_chores(id, record, now)
    arrived = true
    save(id, record)
    mended = mended + 1
  elseif newest and record.s == PENDING and ((record.f or 0) < fence or not record.l) then
    event(record, now, 'rechecked unknown')
    become_unknown(id, record, ARGV[3], tonumber(ARGV[5]))
    record.f = fence
    save(id, record)
    mended = mended + 1
  end
end
finish(ARGV[1])
return mended
