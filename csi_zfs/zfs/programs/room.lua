-- What there is for everything below the parent, with quotas and reservations counted.
local available = zfs.get_prop(argv.parent, "available")
if available == nil then
  return {outcome = "unreadable"}
end
return {outcome = "done", available = available, used = (zfs.get_prop(argv.parent, "used"))}
