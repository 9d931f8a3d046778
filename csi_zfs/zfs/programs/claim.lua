-- Says which pool this is, once and for all.
local argv = (...)["argv"]
if not zfs.exists(argv.parent) then
  return {outcome = "absent"}
end
local _, source = zfs.get_prop(argv.parent, "io.csi-zfs:pool_id")
if source == argv.parent then
  return {outcome = "exists"}
end
local errno = zfs.sync.set_prop(argv.parent, "io.csi-zfs:pool_id", argv.pool_id)
if errno ~= 0 then
  return {outcome = "refused", errno = errno}
end
return {outcome = "done"}
