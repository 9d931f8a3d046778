-- Says who serves the pool from now on.
local errno = zfs.sync.set_prop(argv.parent, "io.csi-zfs:served_by", argv.owner)
if errno ~= 0 then
  return {outcome = "refused", errno = errno}
end
return {outcome = "done"}
