-- Gives a dataset that was made by hand its record, if it is still as it was looked at.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
if record_of(argv.name, argv.property) ~= nil then
  return {outcome = "exists"}
end
for property, value in pairs(argv.expected) do
  if zfs.get_prop(argv.name, property) ~= value then
    return {outcome = "changed"}
  end
end
if zfs.get_prop(argv.name, "origin") ~= nil then
  return {outcome = "changed"}
end
for _ in zfs.list.children(argv.name) do
  return {outcome = "changed"}
end
return outcome_of(set_all(argv.name, argv.properties))
