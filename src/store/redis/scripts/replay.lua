-- A record that is there already comes to hold something else, or gets another chance. ARGV: me,
-- window, id, now, 1 when merged ones are told, the fence of a notice's lease ('' of a replay), what
-- it is to hold ('' what it holds; L lead, T test, Q quarantined, N notice, D what is refused), then of that: payload,
-- digest, identities, body, reason; then the event: when, words, detail.
-- Answers Q (queued), M and the lead's id, T, E (ended otherwise), or the state (as a number) that is
-- refused; nil when there is no such record.
local me, window, id, now = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local comments, fence, kind = ARGV[5] == '1', ARGV[6], ARGV[7]
local payload, digest, identities, body, reason = ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local record = load(id)
if not record then return false end

local MAY_BE_SENT = 'another Redis took over when it had been fetched: it may have been sent'
local is_replay = fence == ''
local refused = tostring(record.s)
if kind == 'D' then return refused end
if is_replay then
  if record.s ~= DEAD and record.s ~= UNKNOWN and record.s ~= QUARANTINED then return refused end
  if kind == '' then
    if record.s == QUARANTINED then return refused end
    if record.g then kind = 'L' elseif record.n then kind = 'N' else return refused end
  elseif kind == 'Q' or kind == 'L' and identities == '' then
    return refused
  end
elseif not is_notice(record) or not record.l or record.f ~= tonumber(fence) or kind == 'N' then
  return refused
end

if ARGV[16] ~= '' and is_outdated(ARGV[16]) then return 'O' end
if kind == 'F' then
  erase(id, record, now)
  finish(me)
  return 'F'
end

-- What is pending weighs something, and is to weigh what it then holds.
if record.s == PENDING then call('DECRBY', P .. 'bytes', weight(record)) end
if digest ~= '' then
  release_own(id, record)
  local before = hashes_of(record)
  record.i, record.z, record.g = identities ~= '' and identities or nil, payload, digest
  save(id, record) -- so that what it no longer carries is seen
  for _, hash in ipairs(before) do
    if not carries(record, hash) then drop(hash, id, now) end
  end
  for _, hash in ipairs(hashes_of(record)) do carry(hash, id, record) end
end
leave_queue(id, record)
if body ~= '' then record.n = body elseif not is_replay then record.n = nil end
if record.s == PENDING then call('INCRBY', P .. 'bytes', weight(record)) end

event(record, tonumber(ARGV[13]), ARGV[14], ARGV[15])
local may_be_sent = not is_replay and record.e
record.a, record.e, record.k, record.j = nil, nil, nil, nil

-- Into its lane, or to the lead that its person has: as of when it came.
local function go_on()
  local since = is_replay and now or record.r
  local lead, ends = other_lead(record, id, since)
  if lead then
    release_own(id, record)
    hand_over(id, lead, ends, now, comments)
    claim(record, ALL, lead, ends, since)
    event(record, now, 'merged')
    become(id, record, MERGED)
    follow(id, record, lead)
    settled(id, record, now)
    record.c, record.y = nil, nil
    joined_another(id, record, lead, now, comments)
    return 'M' .. lead
  end
  claim(record, ALL, id, since + window, since)
  become(id, record, PENDING)
  record.t, record.y, record.T = nil, nil, nil
  if may_be_sent then
    -- It was a lead before, and perhaps sent, as a server knew that this one took over from.
    record.c, record.p, record.e = nil, nil, record.r
    become_unknown(id, record, MAY_BE_SENT, now)
    arrived = true
    return 'Q'
  end
  if is_replay then record.c, record.p = 1, now else record.c, record.p = nil, nil end
  enter_queue(id, record, nil, now)
  return 'Q'
end

local function finish_as(state)
  become(id, record, state)
  settled(id, record, now)
  record.c, record.p = nil, nil
  record.y = reason ~= '' and reason or nil
end

local answer
if kind == 'L' then
  answer = go_on()
elseif kind == 'N' then
  become(id, record, PENDING)
  record.c, record.p, record.t, record.y, record.T = NOTICE, nil, nil, nil, nil
  enter_chores(id, record, now)
  arrived = true
  answer = 'Q'
else
  finish_as(kind == 'T' and TEST or QUARANTINED)
  answer = kind == 'T' and 'T' or 'E'
end
save(id, record)
finish(me)
return answer
