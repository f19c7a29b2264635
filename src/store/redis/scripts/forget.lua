-- ARGV: me, now, how many at most, hashes of identities. Answers how many records were erased: again,
-- when that is as many as were asked for.
call('HINCRBY', P .. 'lane', 'forgettings', 1)
local now, max, erased = tonumber(ARGV[2]), tonumber(ARGV[3]), 0

for at = 4, #ARGV do
  local hash = ARGV[at]
  local carriers = call('ZRANGE', P .. 'j' .. hash, 0, max)
  local named = claim_of(hash)
  if named then carriers[#carriers + 1] = named end
  for _, id in ipairs(carriers) do
    if erased == max then break end
    local record = load(id)
    if record and carries(record, hash) then
      erase(id, record, now)
      erased = erased + 1
    end
  end
  if erased == max then break end
  call('DEL', P .. 'i' .. hash)
end
finish(ARGV[1])
return erased
