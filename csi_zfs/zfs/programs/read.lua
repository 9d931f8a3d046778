-- One object: its record, and the native properties that are asked for.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
local found = {outcome = "done", record = record_of(argv.name, argv.property), native = {}}
for _, property in ipairs(argv.native) do
  local value = zfs.get_prop(argv.name, property)
  -- Most datasets are no clones, and a native property is slow to read.
  if value == nil and property ~= "origin" and is_unreadable(argv.name) then
    return {outcome = "unreadable"}
  end
  found.native[property] = value
end
return found
