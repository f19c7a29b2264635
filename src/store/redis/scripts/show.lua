-- ARGV: id. Answers the record, whole, or nil.
local record = load(ARGV[1])
return record and shown(ARGV[1], record, true)
