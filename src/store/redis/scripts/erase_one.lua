-- ARGV: me, now, id, window, 1 when merged ones are told, when what may have been sent is looked for. Answers how
-- many records were erased.
local id, now = ARGV[3], tonumber(ARGV[2])
local record = load(id)
if not record or record.s == ERASED then return 0 end
erase_alone(id, record, now, tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6]))
finish(ARGV[1])
return 1
