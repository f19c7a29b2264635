-- ARGV: me, window, how many bytes may be pending, 1 when merged ones are told, the lane's last forgetting of
-- what was received a while ago ('' of all else: see forgotten.rs), then for each submission: id,
-- kind (L lead, Q quarantined, T test, N notice, D deletion), source, received, identities, delivery's hash, until when it is known,
-- external id's hash, the payload's length, and what of its record is known before: how many fields, and
-- these, packed. Answers a verdict each: a letter and, after M, C (merged, and to be told) and R, an id.
--
-- A record is written last: should anything fail before, it is not there, and the next try does all
-- of it again. (What Redis is given as a number it writes with 17 digits, which takes longer than the
-- call: numbers are handed on as they came.)
local FIELDS = 11
-- So many submissions share one read and one write; a submission has at most 10 keys, and a call
-- takes some 8,000 arguments.
local TOGETHER = 256
local me, window, bytes_max = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local comments = ARGV[4] == '1'
if tonumber(call('GET', P .. 'bytes') or 0) > bytes_max then return 'full' end
if ARGV[5] ~= '' and is_outdated(ARGV[5]) then return 'outdated' end

local number = tonumber(call('GET', P .. 'base') or 0) + call('LLEN', P .. 'log')
local verdicts, log, fresh, bytes = {}, {}, {}, 0
if number == 0 then call('SET', P .. 'indexed', 'all') end

-- What is in Redis, and what will be written over it.
local known, written = {}, {}

local function write(key, value)
  known[key] = value
  written[#written + 1] = key
  written[#written + 1] = value
end

local function write_down()
  if #written > 0 then call('MSET', unpack(written)) end
  written = {}
end

local function read(from, to)
  local keys = {}
  for at = from, to, FIELDS do
    keys[#keys + 1] = P .. 'r' .. ARGV[at]
    if ARGV[at + 5] ~= '' then keys[#keys + 1] = P .. 'd' .. ARGV[at + 5] end
    local identities = ARGV[at + 4]
    for first = 1, #identities, HASH do
      keys[#keys + 1] = P .. 'i' .. identities:sub(first, first + HASH - 1)
    end
  end
  local found = call('MGET', unpack(keys))
  for place = 1, #keys do known[keys[place]] = found[place] end
end

local LETTERS = { [PENDING] = 'A', [MERGED] = 'M', [QUARANTINED] = 'Q', [TEST] = 'T', [ERASED] = 'D' }

-- What was decided when this very submission was admitted before.
local function again(packed, id)
  local record = cmsgpack.unpack(packed)
  local letter = LETTERS[record.b or PENDING]
  return letter == 'M' and letter .. (record.d or id) or letter
end

-- A claim that has ended passes to another lead. Whoever was named in it still carries the identity.
local function keep_carrier(claim, hash)
  local named = claim:sub(7, 22)
  local key = P .. 'r' .. named
  local packed_before = known[key] or call('GET', key)
  local record = packed_before and cmsgpack.unpack(packed_before)
  for first = 1, #(record and record.i or ''), HASH do
    if record.i:sub(first, first + HASH - 1) == hash then
      call('ZADD', P .. 'j' .. hash, record.q, named)
    end
  end
end

-- Whether a submission that joins `lead` is to be told to CareSoft at once: the lead is there, and says
-- something else.
local function is_told(at, lead)
  local packed_lead = known[P .. 'r' .. lead] or call('GET', P .. 'r' .. lead)
  local record = packed_lead and cmsgpack.unpack(packed_lead)
  if not record or record.s ~= CREATED then return false end
  return record.g ~= cmsgpack.unpack(string.char(128 + tonumber(ARGV[at + 9])) .. ARGV[at + 10]).g
end

-- A record: the fields that were packed before, and those that are decided here.
local function packed(at, state, claimed, lead, due, notice)
  local fields = tonumber(ARGV[at + 9]) + 2
  local more = struct.pack('>c2Bc3I4', '\161s', state, '\161q\206', number)
  if state ~= PENDING then
    fields = fields + 2
    local received = tonumber(ARGV[at + 3])
    more = more .. struct.pack('>c2Bc3I8', '\161b', state, '\161t\207', received)
  end
  if claimed ~= 0 then
    fields, more = fields + 1, more .. struct.pack('>c3B', '\161m\204', claimed)
  end
  if lead then fields, more = fields + 1, more .. '\161d\176' .. lead end
  if notice then fields, more = fields + 1, more .. struct.pack('>c2B', '\161c', NOTICE) end
  if due then fields, more = fields + 1, more .. struct.pack('>c3I8', '\161w\207', due) end
  return string.char(128 + fields) .. ARGV[at + 10] .. more
end

local function admit(at)
  local id, kind, source, received = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local identities, delivery = ARGV[at + 4], ARGV[at + 5]
  local before = known[P .. 'r' .. id]
  if before then return again(before, id) end
  local earlier = delivery ~= '' and known[P .. 'd' .. delivery]
  if earlier and received < struct.unpack('>I6', earlier) and earlier:sub(7, 22) ~= id then
    return 'R' .. earlier:sub(7, 22)
  end

  local state, lead, ends, claimed = PENDING, nil, 0, 0
  if kind == 'L' then
    local bit_of_it = 1
    for first = 1, #identities, HASH do
      local claim = known[P .. 'i' .. identities:sub(first, first + HASH - 1)]
      local until_when = claim and struct.unpack('>I6', claim) or 0
      if received >= until_when then
        claimed = claimed + bit_of_it
      elseif not lead then
        lead, ends = claim:sub(7, 22), until_when
      end
      bit_of_it = bit_of_it * 2
    end
    if lead then state = MERGED else ends = received + window end
  elseif kind ~= 'N' then
    state = kind == 'Q' and QUARANTINED or kind == 'D' and ERASED or TEST
  end
  local holder = lead or id

  local left, own_claim = claimed, time(ends) .. holder
  for first = 1, #identities, HASH do
    local hash = identities:sub(first, first + HASH - 1)
    local key = P .. 'i' .. hash
    local claim, mine = known[key], left % 2 == 1
    left = (left - left % 2) / 2
    if mine and claim and claim:sub(7, 22) ~= holder then keep_carrier(claim, hash) end
    if mine or not claim then write(key, own_claim) end
    if lead or (claim and not mine) then call('ZADD', P .. 'j' .. hash, number, id) end
  end
  local notice = kind == 'N'
  local due = (notice or comments and lead and is_told(at, lead)) and received
  write(P .. 'r' .. id, packed(at, state, claimed, lead, due, notice))
  if due then
    call('ZADD', P .. (notice and 'notices' or 'comments'), ARGV[at + 3], id)
    arrived = true
  end
  if lead then call('ZADD', P .. 'f' .. lead, number, id) end
  if ARGV[at + 7] ~= '' then call('ZADD', P .. 'x' .. ARGV[at + 7], number, id) end
  if delivery ~= '' then
    local ends_at = tonumber(ARGV[at + 6])
    local value = time(ends_at) .. id
    known[P .. 'd' .. delivery] = value
    call('SET', P .. 'd' .. delivery, value, 'PX', string.format('%d', math.max(1, ends_at - received)))
  end
  count(source, 'accepted', 1)
  count(source, state, 1)
  if state == PENDING then
    if not notice then
      fresh[#fresh + 1] = ARGV[at + 3]
      fresh[#fresh + 1] = id
    end
    bytes = bytes + tonumber(ARGV[at + 8]) + OVERHEAD
    arrived = true
  else
    call('RPUSH', P .. 't' .. state, id .. time(received))
  end
  mark(number, state, source, 1)
  note_zone(number, received)
  log[#log + 1] = id
  number = number + 1
  if notice then return 'A' end
  if kind ~= 'L' then return kind end
  return lead and (due and 'C' or 'M') .. lead or 'A'
end

for from = 6, #ARGV, FIELDS * TOGETHER do
  local to = math.min(#ARGV, from + FIELDS * TOGETHER - 1)
  read(from, to)
  for at = from, to, FIELDS do
    verdicts[#verdicts + 1] = admit(at)
  end
  if #log > 0 then call('RPUSH', P .. 'log', unpack(log)) end
  if #fresh > 0 then call('ZADD', P .. 'fresh', unpack(fresh)) end
  write_down()
  log, fresh = {}, {}
end
write_zones()
if bytes > 0 then call('INCRBY', P .. 'bytes', bytes) end
finish(me)
return verdicts
