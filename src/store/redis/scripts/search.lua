-- ARGV: kind and what, in pairs: h identity's hash, i id, u CareSoft's lead, x external id's hash.
-- Answers the records, in no order.
local RECORDS_MAX = 600
local found, seen, many = {}, {}, 0

local function add(id, hash)
  if seen[id] or many >= RECORDS_MAX then return end
  local record = load(id)
  if record and (not hash or carries(record, hash)) then
    seen[id] = true
    many = many + 1
    found[#found + 1] = shown(id, record, false)
  end
end

for at = 1, #ARGV, 2 do
  local kind, what = ARGV[at], ARGV[at + 1]
  if kind == 'h' then
    local named = claim_of(what)
    if named then add(named, what) end
    for _, id in ipairs(call('ZREVRANGE', P .. 'j' .. what, 0, RECORDS_MAX)) do add(id, what) end
  elseif kind == 'i' then
    add(what)
    for _, id in ipairs(call('ZREVRANGE', P .. 'f' .. what, 0, RECORDS_MAX)) do add(id) end
  elseif kind == 'u' then
    local id = call('HGET', P .. 'u' .. what:sub(-4), what)
    if id then add(id) end
  else
    for _, id in ipairs(call('ZREVRANGE', P .. 'x' .. what, 0, RECORDS_MAX)) do add(id) end
  end
end
return found
