-- What keeps a dataset: its snapshots, with the clones of each, and what lies below it.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
local snapshots, children = {}, {}
for snapshot in zfs.list.snapshots(argv.name) do
  local clones = {}
  for clone in zfs.list.clones(snapshot) do
    clones[clone] = true
  end
  snapshots[snapshot] = {
    clones = clones,
    -- Nothing, where it cannot be read.
    txg = zfs.get_prop(snapshot, "createtxg") or 0,
    is_deferred = zfs.get_prop(snapshot, "defer_destroy") == "on",
    is_ours = record_of(snapshot, argv.property) ~= nil,
    is_held = (zfs.get_prop(snapshot, "userrefs") or 0) > 0,
  }
end
for child in zfs.list.children(argv.name) do
  children[child] = true
end
return {outcome = "done", snapshots = snapshots, children = children}
