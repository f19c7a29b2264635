-- Answers how many are pending, when the oldest of them was received ('' when that is not found
-- yet: call again), all of it from a pointer into the log that only ever moves on; then how many are
-- unknown, and how many merged ones are still to be told.
local LOOK, CHUNK = 2000, 100
local pending = call('ZCARD', P .. 'fresh') + call('ZCARD', P .. 'later') + call('ZCARD', P .. 'waiting') + call('ZCARD', P .. 'leased')
pending = pending + call('ZCARD', P .. 'notices')
local unknown, comments = call('ZCARD', P .. 'unknown'), call('ZCARD', P .. 'comments')
for _, id in ipairs(call('ZRANGE', P .. 'held', 0, -1)) do
  local record = load(id)
  if record and record.s == UNKNOWN then
    unknown = unknown + 1
  elseif record and record.s == PENDING then
    pending = pending + 1
  else
    comments = comments + 1
  end
end
if pending == 0 then return { 0, '', unknown, comments } end
local base = tonumber(call('GET', P .. 'base') or 0)
local at = math.max(base, tonumber(call('HGET', P .. 'lane', 'oldest') or 0))
local received = ''
for _ = 1, LOOK / CHUNK do
  local ids = call('LRANGE', P .. 'log', at - base, at - base + CHUNK - 1)
  if #ids == 0 then break end
  for _, id in ipairs(ids) do
    local record = id ~= '' and load(id)
    if record and record.s == PENDING then
      received = string.format('%.0f', record.r)
      break
    end
    at = at + 1
  end
  if received ~= '' then break end
end
call('HSET', P .. 'lane', 'oldest', string.format('%.0f', at))
return { pending, received, unknown, comments }
