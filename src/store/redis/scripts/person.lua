-- Who is who: claims on identities, who carries them, and what follows for a person's other
-- submissions when the one that carries their lead is out.

local function hashes_of(record)
  local hashes = {}
  local all = record.i or ''
  for from = 1, #all, HASH do
    hashes[#hashes + 1] = all:sub(from, from + HASH - 1)
  end
  return hashes
end

local function carries(record, hash)
  for _, own in ipairs(hashes_of(record)) do
    if own == hash then return true end
  end
  return false
end

local function brought(record, position)
  return bit.band(record.m or 0, bit.lshift(1, position - 1)) ~= 0
end

-- Who was last given the claim on an identity, and until when.
local function claim_of(hash)
  local claim = call('GET', P .. 'i' .. hash)
  if claim then return claim:sub(7, 22), struct.unpack('>I6', claim) end
end

-- Who holds the claim now, and until when.
local function held(hash, now)
  local lead, ends = claim_of(hash)
  if lead and now < ends then return lead, ends end
end

-- Gives the claim. Whoever was named in it before still carries the identity.
local function give(hash, lead, ends)
  local before = claim_of(hash)
  if before and before ~= lead then
    local record = load(before)
    if record and carries(record, hash) then call('ZADD', P .. 'j' .. hash, record.q, before) end
  end
  call('SET', P .. 'i' .. hash, time(ends) .. lead)
end

local function release(hash, lead)
  if claim_of(hash) == lead then call('SETRANGE', P .. 'i' .. hash, 0, time(0)) end
end

-- A record that is not new carries an identity. The claim's key names it when nobody else does.
local function carry(hash, id, record)
  local named = claim_of(hash)
  if not named then
    call('SET', P .. 'i' .. hash, time(0) .. id)
  elseif named ~= id then
    call('ZADD', P .. 'j' .. hash, record.q, id)
  end
end

-- A record carries an identity no more, or is going. A claim that still holds stays until it ends.
local function drop(hash, id, now)
  local others = P .. 'j' .. hash
  call('ZREM', others, id)
  local named, ends = claim_of(hash)
  if not named then return end
  if named ~= id then
    if call('EXISTS', others) == 1 then return end
    local record = load(named)
    if record and carries(record, hash) then return end
  end
  if now < ends then
    call('PEXPIRE', P .. 'i' .. hash, ends - now)
  else
    call('DEL', P .. 'i' .. hash)
  end
end

-- Ends the claims that a record brought, to itself or to the lead it joined.
local function release_own(id, record)
  for position, hash in ipairs(hashes_of(record)) do
    if brought(record, position) then release(hash, record.d or id) end
  end
  record.m = nil
end

-- Claims, for a lead, those of a record's identities that `wanted` has a bit for and that nobody
-- else holds.
local function claim(record, wanted, lead, ends, now)
  local taken = 0
  for position, hash in ipairs(hashes_of(record)) do
    local one = bit.lshift(1, position - 1)
    if bit.band(wanted, one) ~= 0 then
      local holder = held(hash, now)
      if not holder or holder == lead then
        give(hash, lead, ends)
        taken = bit.bor(taken, one)
      end
    end
  end
  record.m = taken ~= 0 and taken or nil
end

local ALL = 255

-- More than any person's: beyond it a script would take too long, and they stay as they are.
local FOLLOWERS_MAX = 1000

local function followers(lead)
  return call('ZRANGE', P .. 'f' .. lead, 0, FOLLOWERS_MAX - 1)
end

local function follow(id, record, lead)
  if record.d then call('ZREM', P .. 'f' .. record.d, id) end
  record.d = lead
  if lead then call('ZADD', P .. 'f' .. lead, record.q, id) end
end

-- The lead, other than `but`, that the first claimed identity of a record belongs to.
local function other_lead(record, but, now)
  for _, hash in ipairs(hashes_of(record)) do
    local lead, ends = held(hash, now)
    if lead and lead ~= but then return lead, ends end
  end
end

-- Ends the claims that a record brought, and those that others brought to it.
local function release_all(id, record)
  for _, follower in ipairs(followers(id)) do
    local other = load(follower)
    if other and other.m then
      release_own(follower, other)
      save(follower, other)
    end
  end
  release_own(id, record)
end

-- Gives another lead everything that others brought to `from`: their claims, and themselves.
local function hand_over(from, lead, ends, now, comments)
  for _, follower in ipairs(followers(from)) do
    local other = load(follower)
    if other and follower ~= lead then
      local wanted = other.m
      release_own(follower, other)
      if wanted then claim(other, wanted, lead, ends, now) end
      follow(follower, other, lead)
      joined_another(follower, other, lead, now, comments)
      save(follower, other)
    end
  end
end

-- A lead is out: the claims on its person end, or pass to the next submission of that person that
-- says something else, or to the next one, whatever it says (`anybody`); that one is answered. The
-- caller saves the record that is out.
local function inherit(id, gone, now, window, comments, anybody)
  release_own(id, gone)
  for _, follower in ipairs(followers(id)) do
    local heir = load(follower)
    if heir and heir.s == MERGED and heir.g and (anybody or heir.g ~= gone.g) then
      local other, ends = other_lead(heir, id, now)
      if other then
        release_own(follower, heir)
        claim(heir, ALL, other, ends, now)
        follow(follower, heir, other)
        joined_another(follower, heir, other, now, comments)
        save(follower, heir)
      else
        ends = heir.r + window
        release_own(follower, heir)
        follow(follower, heir, nil)
        hand_over(id, follower, ends, now, comments)
        claim(heir, ALL, follower, ends, now)
        event(heir, now, 'promoted')
        become(follower, heir, PENDING)
        heir.c, heir.p, heir.a, heir.t, heir.y = nil, nil, nil, nil, nil
        heir.e, heir.k, heir.j, heir.T = nil, nil, nil, nil
        enter_queue(follower, heir, nil, now)
        save(follower, heir)
        return follower, heir
      end
    end
  end
  release_all(id, gone)
end
