-- What a lane does besides making leads: unknown records are looked for, and merged ones are told to
-- CareSoft once the lead that they joined is there.

local JOINED_MAX = 20

-- Whether a merged record says something that the lead it has joined does not.
local function says_more(record, lead)
  return record.s == MERGED and record.z and record.g ~= lead.g
end

-- The earliest, before the number `before` if there is one, that have joined a lead and say something
-- else: `found` is called with each.
local function each_joined(lead_id, lead, before, found)
  local left = JOINED_MAX
  for _, id in ipairs(call('ZRANGE', P .. 'f' .. lead_id, 0, 999)) do
    local record = left > 0 and load(id)
    if record and says_more(record, lead) and (not before or record.q < before) then
      found(id, record)
      left = left - 1
    end
  end
end

local function said(id, record)
  return { id, record.o, string.format('%.0f', record.r), record.z }
end

-- A record has joined another lead: nothing of it was told there yet. The caller saves it.
local function joined_another(id, record, lead_id, now, comments)
  record.T = nil
  local lead = comments and load(lead_id)
  if lead and lead.s == CREATED and says_more(record, lead) then
    enter_chores(id, record, now)
    arrived = true
  end
end

-- CareSoft has a lead: what joined it and is not in it is to be told.
local function follow_up(lead_id, lead, now, comments)
  if not comments then return end
  for _, id in ipairs(call('ZRANGE', P .. 'f' .. lead_id, 0, 999)) do
    local record = load(id)
    if record and record.s == MERGED and record.T == 1 then
      record.T = 2
      event(record, now, 'comment with_lead - -')
      save(id, record)
    elseif record and not record.T and not record.w and not record.l and says_more(record, lead) then
      enter_chores(id, record, now)
      arrived = true
      save(id, record)
    end
  end
end
