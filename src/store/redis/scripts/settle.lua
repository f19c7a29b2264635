-- ARGV: me, window, id, fence, now, outcome, its moment or number, CareSoft's requester or a reason,
-- then the event: when, words, detail. Answers 0 when it is too late to say, else 1, or 2 when a
-- lane got something to do.
local me, window = ARGV[1], tonumber(ARGV[2])
local id, fence, now, outcome = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local record = load(id)
if not record or record.f ~= fence then return 0 end
if not (record.s == PENDING and record.l) then
  if record.s == CREATED and outcome == 'created' and record.u == ARGV[7] then return 1 end
  -- Too late for anything but that it was created: nobody has leased it since, or the fence were
  -- another, so not even one that waits to be sent again is.
  if outcome ~= 'created' or (record.s ~= UNKNOWN and record.s ~= PENDING) then return 0 end
end

event(record, tonumber(ARGV[9]), ARGV[10], ARGV[11])
if record.s == PENDING then leave_queue(id, record) end
if outcome == 'retry' or outcome == 'postponed' then
  local due = tonumber(ARGV[7])
  if outcome == 'retry' then
    record.c, record.p, record.a = 1, due, (record.a or 0) + 1
  end
  enter_queue(id, record, due, now)
else
  record.a = (record.a or 0) + 1
  record.p = nil
  if outcome == 'created' then
    become(id, record, CREATED)
    settled(id, record, now)
    record.y = nil
    record.u = ARGV[7]
    record.v = ARGV[8] ~= '' and ARGV[8] or nil
    call('HSET', P .. 'u' .. record.u:sub(-4), record.u, id)
  elseif outcome == 'unknown' then
    become(id, record, UNKNOWN)
    record.y = ARGV[8]
  else
    become(id, record, DEAD)
    settled(id, record, now)
    record.y = ARGV[8]
    bury(id, record, now, window)
  end
end
save(id, record)
finish(me)
return arrived and 2 or 1
