-- The further parts of a record that did not fit into one property.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
local parts = {}
for _, property in ipairs(argv.properties) do
  parts[property] = record_of(argv.name, property)
end
return {outcome = "done", parts = parts}
