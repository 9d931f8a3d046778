-- Destroys an encrypted dataset whose making a power cut ended before it had its record, and with that
-- the salt of its key: nobody can ever open it.  It must be as new (see finish.lua), and of the kind and
-- size that was asked for.  Anything else is somebody's.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
if record_of(argv.name, argv.property) ~= nil
    or zfs.get_prop(argv.name, "keystatus") == "none"
    or zfs.get_prop(argv.name, "type") ~= argv.kind
    or zfs.get_prop(argv.name, "volsize") ~= argv.volsize
    or zfs.get_prop(argv.name, "origin") ~= nil
    or zfs.get_prop(argv.name, "logicalreferenced") > argv.empty_bytes
    or zfs.check.destroy(argv.name) ~= 0 then
  return {outcome = "exists"}
end
return outcome_of(zfs.sync.destroy(argv.name))
