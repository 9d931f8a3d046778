-- Makes a clone the owner of its origin and of what is older, if that is a snapshot of the dataset `over`.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
local origin = zfs.get_prop(argv.name, "origin")
local owner = argv.over .. "@"
if origin == nil or string.sub(origin, 1, #owner) ~= owner then
  return {outcome = "changed"}
end
-- A key that is loaded would stay behind with the old owner, and the lineage would be as if locked.
if zfs.get_prop(argv.name, "keystatus") == "available" then
  return {outcome = "refused", errno = EBUSY}
end
return outcome_of(zfs.sync.promote(argv.name))
