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

