-- ARGV: me, window, id, now, 1 when merged ones are told, whether it is corrected, payload, digest,
-- identities. Answers Q, M and the lead's
-- id, or the state (as a number) that is refused; nil when there is no such record.
local me, window, id, now = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local comments, corrected = ARGV[5] == '1', ARGV[6] == '1'
local record = load(id)
if not record then return false end
local replayable = record.s == DEAD or record.s == UNKNOWN or record.s == QUARANTINED
local usable = record.z and record.s ~= QUARANTINED
if corrected then usable = ARGV[9] ~= '' end
if not replayable or not usable then return tostring(record.s) end

if corrected then
  release_own(id, record)
  local before = hashes_of(record)
  record.i, record.z, record.g = ARGV[9], ARGV[7], ARGV[8]
  save(id, record) -- so that what it no longer carries is seen
  for _, hash in ipairs(before) do
    if not carries(record, hash) then drop(hash, id, now) end
  end
  for _, hash in ipairs(hashes_of(record)) do carry(hash, id, record) end
end

event(record, now, 'replayed')
leave_queue(id, record)
record.e, record.k, record.j = nil, nil, nil
local lead, ends = other_lead(record, id, now)
local answer
if lead then
  release_own(id, record)
  hand_over(id, lead, ends, now, comments)
  claim(record, ALL, lead, ends, now)
  event(record, now, 'merged')
  become(id, record, MERGED)
  follow(id, record, lead)
  settled(id, record, now)
  record.y = nil
  joined_another(id, record, lead, now, comments)
  answer = 'M' .. lead
else
  claim(record, ALL, id, now + window, now)
  become(id, record, PENDING)
  record.c, record.p, record.a, record.t, record.y, record.T = 1, now, nil, nil, nil, nil
  enter_queue(id, record, nil, now)
  answer = 'Q'
end
save(id, record)
finish(me)
return answer
