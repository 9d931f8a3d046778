-- Destroys exactly the snapshot that was read; with `is_deferred` as soon as nobody needs it.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
if record_of(argv.name, argv.property) ~= argv.record then
  return {outcome = "changed"}
end
if not argv.is_deferred then
  if zfs.get_prop(argv.name, "userrefs") > 0 then
    return {outcome = "held"}
  end
  for clone in zfs.list.clones(argv.name) do
    return {outcome = "dependents", name = clone}
  end
end
return outcome_of(zfs.sync.destroy{argv.name, defer = argv.is_deferred})
