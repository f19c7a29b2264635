-- ARGV: me, now, how many at most, reason, when what becomes unknown is looked for. Answers how many
-- leases of pending records ended before now.
local now, ended = tonumber(ARGV[2]), 0

local function each_ended(leases, what)
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. leases, '-inf', '(' .. ARGV[2], 'LIMIT', 0, ARGV[3])) do
    local record = load(id)
    if record and record.l then
      event(record, now, 'lease_expired')
      what(id, record)
      save(id, record)
    else
      call('ZREM', P .. leases, id)
    end
  end
end

each_ended('leased', function(id, record)
  become_unknown(id, record, ARGV[4], tonumber(ARGV[5]))
  ended = ended + 1
end)
each_ended('held', function(id, record)
  leave_queue(id, record)
  enter_chores(id, record, now)
  arrived = true
end)
finish(ARGV[1])
return ended
