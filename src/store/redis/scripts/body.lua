-- ARGV: id. Answers the body that is kept of it, '' where there is none, or nil.
local record = load(ARGV[1])
return record and (record.n or '')
