-- Which pool this is, asked before anybody can know it.
local argv = (...)["argv"]
if not zfs.exists(argv.parent) then
  return {outcome = "absent"}
end
local pool_id, source = zfs.get_prop(argv.parent, "io.csi-zfs:pool_id")
if source ~= argv.parent then
  pool_id = nil
end
return {outcome = "done", pool_id = pool_id, has_home = zfs.exists(argv.home)}
