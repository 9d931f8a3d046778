-- One object: its record, and the native properties that are asked for.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
local found = {outcome = "done", record = record_of(argv.name, argv.property), native = {}}
for _, property in ipairs(argv.native) do
  found.native[property] = (zfs.get_prop(argv.name, property))
end
return found
