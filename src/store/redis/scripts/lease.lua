-- ARGV: me, now, the lease's term, how many at most, the number of this call, how long to wait after
-- another server took over. Answers the epoch, when to come again ('' when nothing waits), and either
-- 'held' or, for each leased record: id, fence, lease's end, source, received, attempts, payload.
local me, now, term, max = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local deadline = now + term
local PLACES, MADE_READY = 4, math.max(max, 256)
go_on_when_full()

-- Another process answers than the last time: a restart, or a replica that was promoted and may
-- not have heard of the last leases. Everybody waits a little, so that each gateway can tell what
-- it had in flight. Fences rise with the epoch: one that an older server gave is never given again.
local clock = call('TIME')
local moment = clock[1] * 1000 + math.floor(clock[2] / 1000)
local run = call('INFO', 'server'):match('run_id:(%x+)')
local lane = call('HMGET', P .. 'lane', 'run', 'epoch', 'hold', 'turn')
local epoch, hold, turn = tonumber(lane[2] or 0), tonumber(lane[3] or 0), tonumber(lane[4] or 0)
if lane[1] ~= run then
  epoch = epoch + 1
  hold = lane[1] and moment + tonumber(ARGV[6]) or 0
  call('HSET', P .. 'lane', 'run', run, 'epoch', epoch, 'hold', string.format('%.0f', hold))
  tell('epoch')
end
if moment < hold then
  return { epoch, string.format('%.0f', now + hold - moment), 'held' }
end
local fence_min = (epoch - 1) % 4096 * 2 ^ 20

local work = {}
local function give_out(id, record)
  work[#work + 1] = {
    id, record.f, string.format('%.0f', record.l), record.o, string.format('%.0f', record.r),
    record.a or 0, record.z or '',
  }
end

-- The answer to the same call was lost on its way: the same records again, if nobody leased them
-- since. What there is no room for goes back: nobody ever heard of its lease.
local given = P .. 'given:' .. me
local before = call('GET', given)
if before and before:sub(1, 8) == ARGV[5] then
  for from = 9, #before, 20 do
    local id, fence = before:sub(from, from + 15), struct.unpack('>I4', before, from + 16)
    local record = load(id)
    if record and record.s == PENDING and record.l and record.f == fence then
      if #work < max then
        record.l = math.max(record.l, deadline)
        call('ZADD', P .. 'leased', record.l, id)
        give_out(id, record)
      else
        leave_queue(id, record)
        enter_queue(id, record, nil, now)
      end
      save(id, record)
    end
  end
  if #work > 0 then
    finish(me)
    return { epoch, '', work }
  end
end

-- Those that are due wait no longer: from here on their place in the queue counts.
for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'waiting', '-inf', now, 'LIMIT', 0, MADE_READY)) do
  local record = load(id)
  if not record then error('a queued record is missing') end
  call('ZREM', P .. 'waiting', id)
  record.w = nil
  call('ZADD', P .. (record.c and 'later' or 'fresh'), record.p or record.r, id)
  save(id, record)
end

local fresh = call('ZRANGE', P .. 'fresh', 0, max - 1)
local later = call('ZRANGE', P .. 'later', 0, max - 1)
local next_fresh, next_later, leased = 1, 1, {}
while #leased < max do
  local from
  if fresh[next_fresh] and later[next_later] then
    turn = (turn + 1) % PLACES
    from = turn == 0 and 'later' or 'fresh'
  elseif fresh[next_fresh] then
    from = 'fresh'
  elseif later[next_later] then
    from = 'later'
  else
    break
  end
  local id
  if from == 'fresh' then
    id, next_fresh = fresh[next_fresh], next_fresh + 1
  else
    id, next_later = later[next_later], next_later + 1
  end
  local record = load(id)
  if not record then error('a queued record is missing') end
  call('ZREM', P .. from, id)
  record.f, record.l = math.max((record.f or 0) + 1, fence_min + 1), deadline
  save(id, record)
  call('ZADD', P .. 'leased', deadline, id)
  give_out(id, record)
  leased[#leased + 1] = id .. struct.pack('>I4', record.f)
end
if #leased > 0 then
  call('HSET', P .. 'lane', 'turn', turn)
  call('SET', given, ARGV[5] .. table.concat(leased), 'PX', 600000)
end
local next_due = ''
if #leased < max then
  next_due = call('ZRANGE', P .. 'waiting', 0, 0, 'WITHSCORES')[2] or ''
end
return { epoch, next_due, work }
