local argv = (...)["argv"]

if not zfs.exists(argv.parent) or not zfs.exists(argv.home)
    or zfs.get_prop(argv.parent, "io.csi-zfs:pool_id") ~= argv.pool_id then
  return {outcome = "away"}
end

-- Our record of a dataset or snapshot: nil where it is missing or merely inherited or received.
local function record_of(name, property)
  local value, source = zfs.get_prop(name, property)
  if source == name then
    return value
  end
end
