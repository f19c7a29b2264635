-- ARGV: me, now, how many at most, reason. Answers how many leases ended before now.
local now = tonumber(ARGV[2])
local ended = call('ZRANGEBYSCORE', P .. 'leased', '-inf', '(' .. ARGV[2], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ended) do
  local record = load(id)
  if record and record.s == PENDING and record.l then
    expired(id, record, now, 'lease_expired', ARGV[4])
    save(id, record)
  else
    call('ZREM', P .. 'leased', id)
  end
end
finish(ARGV[1])
return #ended
