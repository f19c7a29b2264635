-- What every script begins with. KEYS[1] is the destination in braces, `{main}`: the name of every
-- key begins with it, so that all of them are in one slot of a cluster. KEYS[2] never exists either:
-- while a slot moves to another node, a script with two keys that are not there is told to try
-- again, where one with a single key would find half of what there is.
--
--   r<id>    a record, packed: see below          log      ids in the order of acceptance
--   i<hash>  who holds an identity: until, lead   base     how many of `log` were cut off its head
--   j<hash>  others who carry it, by number       fresh    ready, in order of arrival
--   f<id>    who joined a lead, by number         later    ready, but behind the fresh
--   d<hash>  a delivery: until, record            waiting  not due yet, by when
--   u<nnnn>  CareSoft's id to record              leased   in flight, by the lease's end
--   unknown  to be looked for, by when            comments to be told to CareSoft, by when
--   notices  whose lead is to be fetched, by when
--   held     of those three, leased, by its end
--   x<hash>  records of an external id, by number bytes    what the pending weigh together
--   t<state> records in order of settling         ledger   counts by source and state
--   v<n>:<state><source>  the log as bits         lane     pace, gate, turn, server, forgettings
--   zones    when each thousand of the log came   indexed  `all`, once both are of the whole log
--
-- A record is a MessagePack map that only scripts read and write; what it has not is left out.
--   s state  b the one it began in (if not pending)   o source   r received   q number in `log`
--   c 1 later, 2 a notice  p place in its queue (if not `r`)        w due      l lease's end
--   f fence  a attempts                t settled
--   e its lead was not made before     k how often it was looked for in vain
--   j how often it was sent again      T of a merged one: 1 in the create leased last, 2 told
--   i identities, end to end           m bit n: it brought the claim on the n-th
--   d whom it joined                   u, v CareSoft's lead and requester
--   x external id's hash               g digest of what it says
--   y reason                           h history: words and detail in turn, but for the first event
--   z payload                          n raw body
--   A trace
--
-- Times are milliseconds since 1970; ids are 16 bytes, hashes 12.
local call = redis.call
local P = KEYS[1]

local PENDING, CREATED, UNKNOWN, MERGED, DEAD, QUARANTINED, TEST, ERASED = 0, 1, 2, 3, 4, 5, 6, 7
local HASH = 12
local EVENTS_MAX = 63
-- What a pending record takes besides its payload, for `bytes`.
local OVERHEAD = 450
-- The class of a pending record that is a notice: `n` is what its platform said.
local NOTICE = 2

local function time(ms)
  return struct.pack('>I6', ms)
end

local function load(id)
  local packed = call('GET', P .. 'r' .. id)
  return packed and cmsgpack.unpack(packed)
end

local function save(id, record)
  call('SET', P .. 'r' .. id, cmsgpack.pack(record))
end

local function weight(record)
  return #(record.z or '') + #(record.n or '') + OVERHEAD
end

-- The ledger's moves of this call, written by `finish`.
local moves = {}

local function count(source, what, by)
  local field = source .. ' ' .. what
  moves[field] = (moves[field] or 0) + by
end

-- Wakes the lanes of all gateways. Everything is written by then: a user who may not publish makes
-- them look by themselves, and fails nothing.
local function tell(what)
  redis.pcall('PUBLISH', 'leadgate', what)
end

-- Redis refuses a script whose first write may take memory when it is full. Those that only go on
-- with what is there begin with one that takes none.
local function go_on_when_full()
  call('HDEL', P .. 'lane', '')
end

-- Whether a lane got something to do.
local arrived = false

-- What every writing script ends with. `me` keeps a gateway from waking itself twice.
local function finish(me)
  for field, by in pairs(moves) do
    if by ~= 0 then call('HINCRBY', P .. 'ledger', field, by) end
  end
  if arrived then tell(me) end
end

local function event(record, at, words, detail)
  local history = record.h or {}
  history[#history + 1] = string.format('%.0f %s', at - record.r, words)
  history[#history + 1] = detail or ''
  while #history > 2 * EVENTS_MAX do
    table.remove(history, 1)
    table.remove(history, 1)
  end
  record.h = history
end

-- Which numbers of the log are in a state and of a source: one string of bits for each 65,536 of them. The bits
-- stand backwards, so that the first one that is set is the newest.
local BLOCK = 65536

local function bits_of(block, state, source)
  return string.format('%sv%.0f:%d%s', P, block, state, source)
end

local function mark(number, state, source, bit)
  local key = bits_of(math.floor(number / BLOCK), state, source)
  call('SETBIT', key, BLOCK - 1 - number % BLOCK, bit)
end

-- When the earliest and the latest of each thousand numbers came.
local ZONE = 1024
local zones = {}

local function note_zone(number, received)
  local zone = string.format('%.0f', math.floor(number / ZONE))
  local known = zones[zone]
  if not known then
    zones[zone] = { received, received }
  else
    known[1], known[2] = math.min(known[1], received), math.max(known[2], received)
  end
end

local function write_zones()
  for zone, new in pairs(zones) do
    local before = call('HGET', P .. 'zones', zone)
    local earliest, latest = new[1], new[2]
    if before then
      local first, last = struct.unpack('>I6I6', before)
      earliest, latest = math.min(earliest, first), math.max(latest, last)
    end
    call('HSET', P .. 'zones', zone, struct.pack('>I6I6', earliest, latest))
  end
end

-- Whether somebody was forgotten after a lane's forgettings had that number.
local function is_outdated(forgettings)
  return (call('HGET', P .. 'lane', 'forgettings') or '0') ~= forgettings
end

-- A record leaves one state for another; its place in a queue is the caller's business.
local function become(id, record, state)
  count(record.o, record.s, -1)
  count(record.o, state, 1)
  mark(record.q, record.s, record.o, 0)
  mark(record.q, state, record.o, 1)
  if record.s == PENDING then call('DECRBY', P .. 'bytes', weight(record)) end
  if state == PENDING then
    call('INCRBY', P .. 'bytes', weight(record))
    local oldest = tonumber(call('HGET', P .. 'lane', 'oldest') or 0)
    if record.q < oldest then call('HSET', P .. 'lane', 'oldest', record.q) end
  end
  record.s = state
end

-- A record will not change by itself any more: retention finds it by this.
local function settled(id, record, now)
  record.t = now
  call('RPUSH', P .. 't' .. record.s, id .. time(now))
end

-- The queues of what is done besides making leads.
local CHORES = { [UNKNOWN] = 'unknown', [MERGED] = 'comments' }

local function is_notice(record)
  return record.s == PENDING and record.c == NOTICE
end

-- The queue of a record's chore; nil when its lead is to be made, or nothing is to be done.
local function chore_of(record)
  return is_notice(record) and 'notices' or CHORES[record.s]
end

-- Takes a record out of whichever queue it is in.
local function leave_queue(id, record)
  local chore = chore_of(record)
  if record.l then
    call('ZREM', P .. (chore and 'held' or 'leased'), id)
  elseif record.w then
    call('ZREM', P .. (chore or 'waiting'), id)
  elseif record.s == PENDING then
    call('ZREM', P .. (record.c and 'later' or 'fresh'), id)
  end
  record.l, record.w = nil, nil
end

-- Queues the chore of an unknown or a merged record, or of a notice.
local function enter_chores(id, record, due)
  record.w = due
  call('ZADD', P .. chore_of(record), due, id)
end

-- Puts a pending record where it waits: `due` may be nil.
local function enter_queue(id, record, due, now)
  if due and due > now then
    record.w = due
    call('ZADD', P .. 'waiting', due, id)
  else
    call('ZADD', P .. (record.c and 'later' or 'fresh'), record.p or record.r, id)
    arrived = true
  end
end

-- It may have been sent: it is looked for, from `due` on.
local function become_unknown(id, record, reason, due)
  leave_queue(id, record)
  become(id, record, UNKNOWN)
  record.a = (record.a or 0) + 1
  record.y, record.k, record.p = reason, nil, nil
  record.e = record.e or record.r
  enter_chores(id, record, due)
end
