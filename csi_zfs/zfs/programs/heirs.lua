-- The clones of ours of which one can own the snapshots of a dataset, so that the dataset can go: those of
-- its youngest snapshot, since all that is older moves with it.  None where the dataset has written next to
-- nothing since, unless the snapshot goes with it: then it waits for a single clone and for no hold.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
local youngest, txg = nil, -1
for snapshot in zfs.list.snapshots(argv.name) do
  local taken = zfs.get_prop(snapshot, "createtxg")
  if taken == nil then  -- it cannot be read, so nothing is moved
    return {outcome = "done", heirs = {}}
  elseif taken > txg then
    youngest, txg = snapshot, taken
  end
end
if youngest == nil then
  return {outcome = "done", heirs = {}}
end
local heirs, count = {}, 0
for clone in zfs.list.clones(youngest) do
  count = count + 1
  if record_of(clone, argv.property) ~= nil then
    heirs[clone] = true
  end
end
local goes = count == 1
  and zfs.get_prop(youngest, "defer_destroy") == "on"
  and zfs.get_prop(youngest, "userrefs") == 0
local written = zfs.get_prop(argv.name, "written")
if written == nil or (not goes and written <= argv.trifle_bytes) then
  heirs = {}
end
return {outcome = "done", heirs = heirs}
