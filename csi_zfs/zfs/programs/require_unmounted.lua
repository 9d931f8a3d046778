-- Says whether a file system is mounted anywhere, in whatever mount namespace.  No property tells that, but
-- a mount refuses what would change the file system below it.  The checks answer so in a transaction only,
-- and each only for its case: the one needs a snapshot, the other that there is none.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
local check = zfs.check.destroy
for snapshot in zfs.list.snapshots(argv.name) do
  check = zfs.check.rollback
end
-- Whatever else stands against a rollback does not mean that it is mounted.
if check(argv.name) == EBUSY then
  return {outcome = "refused", errno = EBUSY}
end
return {outcome = "done"}
