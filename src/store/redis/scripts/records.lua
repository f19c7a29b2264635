-- How records are shown: id, number, state, began, source, received, settled, due, lease's end,
-- joined, lead, requester, reason, payload, trace, history (of a whole one). What there is not is false.
local function shown(id, record, whole)
  local function moment(ms) return ms and string.format('%.0f', ms) or false end
  return {
    id, record.q, record.s, record.b or PENDING, record.o, moment(record.r), moment(record.t),
    moment(record.w), moment(record.l), record.d or false, record.u or false, record.v or false,
    record.y or false, record.z or false, record.A or false,
    whole and (record.h or {}),
  }
end
