-- Who holds the key of a dataset, and whether it is loaded.  A clone shares the key of its origin, and a
-- promote makes the clone the holder: so it is where the chain of origins begins.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
local root = argv.name
local origin = zfs.get_prop(root, "origin")
while origin ~= nil do
  root = string.match(origin, "^[^@]+")
  origin = zfs.get_prop(root, "origin")
end
local status = zfs.get_prop(argv.name, "keystatus")
if status == nil or is_unreadable(root) then
  return {outcome = "unreadable"}
end
return {outcome = "done", root = root, status = status}
