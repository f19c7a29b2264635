-- Leases due notices. ARGV: me, now, the lease's end, how many at most. Answers when the next is due
-- ('' when none waits or there may be more), and of each: id, fence, source, received, attempts, trace,
-- body.
local now, deadline, max = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
go_on_when_full()
-- As in a lane: a fence that an older server gave is never given again.
local fence_min = (tonumber(call('HGET', P .. 'lane', 'epoch') or 1) - 1) % 4096 * 2 ^ 20
local leased = {}
for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'notices', '-inf', now, 'LIMIT', 0, max)) do
  local record = load(id)
  if record then
    leave_queue(id, record)
    record.f = math.max((record.f or 0) + 1, fence_min + 1)
    record.l = deadline
    save(id, record)
    call('ZADD', P .. 'held', deadline, id)
    leased[#leased + 1] = {
      id, record.f, record.o, string.format('%.0f', record.r), record.a or 0, record.A or '',
      record.n or '',
    }
  else
    call('ZREM', P .. 'notices', id)
  end
end
local next_due = #leased < max and call('ZRANGE', P .. 'notices', 0, 0, 'WITHSCORES')[2]
return { next_due or '', leased }
