-- Gives a zvol its record whose making a power cut ended in between: the kernel makes a dataset in one
-- transaction and sets its properties in later ones.  It must be as new: nothing written, no snapshot,
-- no clone, of the size that was asked for.  Anything else was made by hand, and is somebody's.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
if record_of(argv.name, argv.property) ~= nil
    or zfs.get_prop(argv.name, "type") ~= "volume"
    or zfs.get_prop(argv.name, "volsize") ~= argv.volsize
    or zfs.get_prop(argv.name, "volblocksize") ~= argv.volblocksize
    or zfs.get_prop(argv.name, "origin") ~= nil
    or zfs.get_prop(argv.name, "logicalreferenced") > argv.empty_bytes then
  return {outcome = "exists"}
end
for snapshot in zfs.list.snapshots(argv.name) do
  return {outcome = "exists"}
end
return outcome_of(set_all(argv.name, argv.properties))
