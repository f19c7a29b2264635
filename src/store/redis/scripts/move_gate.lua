-- ARGV: me, the version that the caller knows, the gate's next state. Answers the gate in force.
go_on_when_full()
local gate = call('HMGET', P .. 'lane', 'version', 'gate')
local version = gate[1] or '0'
if version ~= ARGV[2] then return { version, gate[2] or '' } end
version = string.format('%.0f', tonumber(version) + 1)
call('HSET', P .. 'lane', 'version', version, 'gate', ARGV[3])
tell(ARGV[1])
return { version, ARGV[3] }
