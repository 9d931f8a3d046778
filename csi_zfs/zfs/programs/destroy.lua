-- Destroys exactly the dataset that was read: one whose record is still the same, and that nobody needs.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
if record_of(argv.name, argv.property) ~= argv.record then
  return {outcome = "changed"}
end
for snapshot in zfs.list.snapshots(argv.name) do
  return {outcome = "dependents", name = snapshot}
end
for child in zfs.list.children(argv.name) do
  return {outcome = "dependents", name = child}
end
return outcome_of(zfs.sync.destroy(argv.name))
