-- Replaces a record as a whole, if it is still the one that was read.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
if record_of(argv.name, argv.property) ~= argv.record then
  return {outcome = "changed"}
end
for property, value in pairs(argv.properties) do
  local errno = zfs.sync.set_prop(argv.name, property, value)
  if errno ~= 0 then
    return {outcome = "refused", errno = errno}
  end
end
return {outcome = "done"}
