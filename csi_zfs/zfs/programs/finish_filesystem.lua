-- Gives a file system its record whose making a power cut ended in between; see finish.lua.  It must be as
-- new: nothing written, no snapshot, nothing below it, mounted nowhere.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
if record_of(argv.name, argv.property) ~= nil
    or zfs.get_prop(argv.name, "type") ~= "filesystem"
    or zfs.get_prop(argv.name, "origin") ~= nil
    or zfs.get_prop(argv.name, "logicalreferenced") > argv.empty_bytes
    or zfs.check.destroy(argv.name) ~= 0 then
  return {outcome = "exists"}
end
return outcome_of(set_all(argv.name, argv.properties))
