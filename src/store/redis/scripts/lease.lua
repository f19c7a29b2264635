-- ARGV: me, now, the term of a create's lease, how many at most, the number of this call, how long to
-- wait after another server took over, the term of other leases, 1 when merged ones are told, how
-- many at most of unknown and merged ones. Answers the epoch, when to come again ('' when nothing waits), and either 'held' or, for each leased record:
-- id, fence, lease's end, source, received, attempts, trace, payload, its state, and by that
--   pending: who joined it and goes along    unknown: not made before, looks in vain, sent again
--   merged: CareSoft's lead and requester, and what was said before
local me, now, max = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4])
local deadline, chore_deadline = now + tonumber(ARGV[3]), now + tonumber(ARGV[7])
local comments, chores_left = ARGV[8] == '1', tonumber(ARGV[9])
local PLACES, MADE_READY = 4, math.max(max, 256)
go_on_when_full()

-- Another process answers than the last time: a restart, or a replica that was promoted and may
-- not have heard of the last leases. Everybody waits a little, so that each gateway can tell what
-- it had in flight. Fences rise with the epoch: one that an older server gave is never given again.
local clock = call('TIME')
local moment = clock[1] * 1000 + math.floor(clock[2] / 1000)
local run = call('INFO', 'server'):match('run_id:(%x+)')
local lane = call('HMGET', P .. 'lane', 'run', 'epoch', 'hold', 'turn', 'class')
local epoch, hold, turn = tonumber(lane[2] or 0), tonumber(lane[3] or 0), tonumber(lane[4] or 0)
local class_turn = tonumber(lane[5] or 0)
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
local function give_out(id, record, more)
  local one = {
    id, record.f, string.format('%.0f', record.l), record.o, string.format('%.0f', record.r),
    record.a or 0, record.A or '', record.z or '', record.s,
  }
  for _, part in ipairs(more) do one[#one + 1] = part end
  work[#work + 1] = one
end

-- What else a worker needs to know; nil when there is nothing to do.
local function more_of(id, record)
  if record.s == PENDING then
    local joined = {}
    if comments then
      each_joined(id, record, nil, function(follower, other)
        joined[#joined + 1] = said(follower, other)
        if other.T ~= 1 then
          other.T = 1
          save(follower, other)
        end
      end)
    end
    return { joined }
  elseif record.s == UNKNOWN then
    return { string.format('%.0f', record.e or record.r), record.k or 0, record.j or 0 }
  end
  local lead = record.d and load(record.d)
  -- One that is erased here is there nevertheless, where it was made.
  if not lead or not lead.u or (lead.s ~= CREATED and lead.s ~= ERASED) then return nil end
  local before = lead.z and { said(record.d, lead) } or {}
  each_joined(record.d, lead, record.q, function(follower, other)
    before[#before + 1] = said(follower, other)
  end)
  return { lead.u, lead.v or '', before }
end

-- The answer to the same call was lost on its way: the same records again, if nobody leased them
-- since. What there is no room for goes back: nobody ever heard of its lease.
local given = P .. 'given:' .. me
local before = call('GET', given)
if before and before:sub(1, 8) == ARGV[5] then
  for from = 9, #before, 20 do
    local id, fence = before:sub(from, from + 15), struct.unpack('>I4', before, from + 16)
    local record = load(id)
    if record and record.l and record.f == fence then
      local chore = chore_of(record)
      local more = #work < max and more_of(id, record)
      if more then
        record.l = math.max(record.l, chore and chore_deadline or deadline)
        call('ZADD', P .. (chore and 'held' or 'leased'), record.l, id)
        give_out(id, record, more)
      else
        leave_queue(id, record)
        if chore then enter_chores(id, record, now) else enter_queue(id, record, nil, now) end
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

local function due(queue)
  return call('ZRANGEBYSCORE', P .. queue, '-inf', now, 'LIMIT', 0, chores_left)
end
local fresh, next_fresh = call('ZRANGE', P .. 'fresh', 0, max - 1), 1
local others = {
  { queue = 'later', ids = call('ZRANGE', P .. 'later', 0, max - 1), next = 1 },
  { queue = 'unknown', ids = due('unknown'), next = 1 },
  { queue = 'comments', ids = due('comments'), next = 1 },
}

-- Who has the next place of the classes behind the fresh, and whether there is anybody.
local function next_other(takes)
  for step = 0, #others - 1 do
    local class = others[(class_turn + step) % #others + 1]
    local id = class.ids[class.next]
    if id and (class.queue == 'later' or chores_left > 0) then
      if takes then
        class.next = class.next + 1
        class_turn = (class_turn + step + 1) % #others
      end
      return id, class.queue
    end
  end
end

-- Nothing can be told of a merged record: its lead is not there any more.
local function give_up(id, record)
  event(record, now, 'comment given_up - -')
  record.T = 2
  save(id, record)
end

local leased = {}
while #leased < max do
  local id, from = fresh[next_fresh], 'fresh'
  local other = next_other(false)
  if id and other then turn = (turn + 1) % PLACES end
  if other and (not id or turn == 0) then
    id, from = next_other(true)
  elseif id then
    next_fresh = next_fresh + 1
  else
    break
  end
  local record = load(id)
  if not record then error('a queued record is missing') end
  call('ZREM', P .. from, id)
  record.w = nil
  local more = more_of(id, record)
  if more then
    local chore = CHORES[record.s]
    record.f = math.max((record.f or 0) + 1, fence_min + 1)
    record.l = chore and chore_deadline or deadline
    if chore then chores_left = chores_left - 1 else record.e = record.e or now end
    save(id, record)
    call('ZADD', P .. (chore and 'held' or 'leased'), record.l, id)
    give_out(id, record, more)
    leased[#leased + 1] = id .. struct.pack('>I4', record.f)
  else
    give_up(id, record)
  end
end
if #leased > 0 then
  call('HSET', P .. 'lane', 'turn', turn, 'class', class_turn)
  call('SET', given, ARGV[5] .. table.concat(leased), 'PX', 600000)
end
local next_due = ''
if #leased < max then
  local queues = { 'waiting' }
  if tonumber(ARGV[9]) > 0 then queues = { 'waiting', 'unknown', 'comments' } end
  for _, queue in ipairs(queues) do
    local first = call('ZRANGE', P .. queue, 0, 0, 'WITHSCORES')[2]
    if first and (next_due == '' or tonumber(first) < tonumber(next_due)) then next_due = first end
  end
end
return { epoch, next_due, work }
