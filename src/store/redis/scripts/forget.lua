-- ARGV: me, now, how many at most, hashes of identities. Answers how many records were erased: again,
-- when that is as many as were asked for.
local now, max, erased = tonumber(ARGV[2]), tonumber(ARGV[3]), 0

local function erase(id, record)
  release_all(id, record)
  leave_queue(id, record)
  for place = 2, #(record.h or {}), 2 do record.h[place] = '' end
  event(record, now, 'erased')
  become(id, record, ERASED)
  settled(id, record, now)
  local identities = hashes_of(record)
  if record.x then call('ZREM', P .. 'x' .. record.x, id) end
  record.i, record.x, record.g, record.y, record.z, record.n, record.p = nil, nil, nil, nil, nil, nil, nil
  save(id, record)
  for _, hash in ipairs(identities) do drop(hash, id, now) end
  erased = erased + 1
end

for at = 4, #ARGV do
  local hash = ARGV[at]
  local carriers = call('ZRANGE', P .. 'j' .. hash, 0, max)
  local named = claim_of(hash)
  if named then carriers[#carriers + 1] = named end
  for _, id in ipairs(carriers) do
    if erased == max then break end
    local record = load(id)
    if record and carries(record, hash) then erase(id, record) end
  end
  if erased == max then break end
  call('DEL', P .. 'i' .. hash)
end
finish(ARGV[1])
return erased
