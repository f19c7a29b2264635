-- ARGV: me, window, id, fence, now, outcome, its moment or number, CareSoft's requester, a reason or a
-- count, 1 when merged ones are told, when an unknown one is looked for, then the event: when, words,
-- detail. Answers 0 when it is too late to say, else 1, or 2 when a lane got something to do.
local me, window, comments = ARGV[1], tonumber(ARGV[2]), ARGV[9] == '1'
local id, fence, now, outcome = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local record = load(id)
if not record then return 0 end

-- Which outcomes fit a record in which state.
local FITS = {
  created = { [PENDING] = true, [UNKNOWN] = true },
  dead = { [PENDING] = true, [UNKNOWN] = true },
  retry = { [PENDING] = true, [MERGED] = true },
  postponed = { [PENDING] = true, [UNKNOWN] = true, [MERGED] = true },
  unknown = { [PENDING] = true },
  look = { [UNKNOWN] = true },
  send_again = { [UNKNOWN] = true },
  told = { [MERGED] = true },
}
local fits = FITS[outcome][record.s]
if is_notice(record) then fits = outcome == 'retry' or outcome == 'postponed' or outcome == 'dead' end
local holds = record.l and record.f == fence and fits
if not holds then
  if outcome ~= 'created' then return 0 end
  if record.s == CREATED and record.f == fence and record.u == ARGV[7] then return 1 end
  -- A lead that is there is there, whoever has looked since.
  if is_notice(record) and (record.f or 0) >= fence then return 0 end
  if record.s ~= UNKNOWN and (record.s ~= PENDING or record.l) then return 0 end
end

event(record, tonumber(ARGV[11]), ARGV[12], ARGV[13])
leave_queue(id, record)
if outcome == 'retry' or outcome == 'postponed' or outcome == 'look' then
  local due = tonumber(ARGV[7])
  if outcome ~= 'postponed' then record.a = (record.a or 0) + 1 end
  if outcome == 'look' then record.k = tonumber(ARGV[8]) end
  if record.s == PENDING and not is_notice(record) then
    if outcome == 'retry' then record.c, record.p = 1, due end
    if not record.j then record.e = nil end -- surely not sent
    enter_queue(id, record, due, now)
  else
    enter_chores(id, record, math.max(due, now))
    if due <= now then arrived = true end
  end
elseif outcome == 'send_again' then
  local due = tonumber(ARGV[7])
  become(id, record, PENDING)
  record.c, record.p, record.y, record.k, record.j = 1, due, nil, nil, (record.j or 0) + 1
  enter_queue(id, record, due, now)
elseif outcome == 'told' then
  record.T = 2
elseif outcome == 'unknown' then
  become_unknown(id, record, ARGV[8], tonumber(ARGV[10]))
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
    follow_up(id, record, now, comments)
  else
    become(id, record, DEAD)
    settled(id, record, now)
    record.y = ARGV[8]
    inherit(id, record, now, window, comments, false)
  end
end
save(id, record)
finish(me)
return arrived and 2 or 1
