-- The snapshots of the datasets that are named and still there: those with a record of ours.
local records, deferred, held = {}, {}, {}
for _, name in ipairs(argv.names) do
  if zfs.exists(name) then
    for snapshot in zfs.list.snapshots(name) do
      local record = record_of(snapshot, argv.property)
      if record ~= nil then
        records[snapshot] = record
        deferred[snapshot] = zfs.get_prop(snapshot, "defer_destroy") == "on"
        local userrefs = zfs.get_prop(snapshot, "userrefs")
        -- Without an entry where it cannot be read.
        held[snapshot] = userrefs and userrefs > 0
      end
    end
  end
end
return {outcome = "done", records = records, deferred = deferred, held = held}
