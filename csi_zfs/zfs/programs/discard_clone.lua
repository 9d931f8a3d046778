-- Destroys a clone whose making a power cut ended before it had its record.  It must be a clone of the
-- dataset that was asked for, and have nothing of its own: nothing written, no snapshot, nothing below
-- it, open or mounted nowhere.  Anything else is somebody's.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
local origin, owner = zfs.get_prop(argv.name, "origin"), argv.source .. "@"
if record_of(argv.name, argv.property) ~= nil
    or origin == nil
    or string.sub(origin, 1, #owner) ~= owner
    or zfs.get_prop(argv.name, "written") ~= 0
    or zfs.check.destroy(argv.name) ~= 0 then
  return {outcome = "exists"}
end
return outcome_of(zfs.sync.destroy(argv.name))
