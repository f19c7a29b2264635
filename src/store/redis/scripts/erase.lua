-- What stays of an erased record is what the ledger and CareSoft's own erasure need: ids, times and
-- states.
local function erase(id, record, now)
  release_all(id, record)
  leave_queue(id, record)
  for place = 2, #(record.h or {}), 2 do record.h[place] = '' end
  event(record, now, 'erased')
  become(id, record, ERASED)
  settled(id, record, now)
  local identities = hashes_of(record)
  if record.x then call('ZREM', P .. 'x' .. record.x, id) end
  record.i, record.x, record.g, record.y, record.z, record.n, record.p = nil, nil, nil, nil, nil, nil, nil
  record.A = nil
  save(id, record)
  for _, hash in ipairs(identities) do drop(hash, id, now) end
end

local MAY_BE_THERE = 'the submission that it had joined was erased while it was on its way: it may have been sent'

-- Whoever else has joined it goes on without it; where it may have been made, that is looked for, then.
local function erase_alone(id, record, now, window, comments, look_at)
  if record.s == PENDING or record.s == UNKNOWN then
    local sent = record.e or (record.l or record.s == UNKNOWN) and record.r
    local heir_id, heir = inherit(id, record, now, window, comments, true)
    if heir and sent and not is_notice(record) then
      become_unknown(heir_id, heir, MAY_BE_THERE, look_at)
      heir.e = sent
      save(heir_id, heir)
    end
  end
  erase(id, record, now)
end
