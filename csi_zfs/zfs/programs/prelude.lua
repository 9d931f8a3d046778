local argv = (...)["argv"]

if not zfs.exists(argv.home) then
  return {outcome = "away"}
end
-- Inherited: one look says that the parent is there, and which pool it is.
local pool_id, of = zfs.get_prop(argv.home, "io.csi-zfs:pool_id")
if pool_id ~= argv.pool_id or of ~= argv.parent then
  return {outcome = "away"}
end
-- A driver that lost the pool to another one, by an export and an import in between, does nothing more.
if argv.served_by and zfs.get_prop(argv.parent, "io.csi-zfs:served_by") ~= argv.served_by then
  return {outcome = "taken"}
end

-- Our record of a dataset or snapshot: nil where it is missing or merely inherited or received.
local function record_of(name, property)
  local value, source = zfs.get_prop(name, property)
  if source == name then
    return value
  end
end

-- Whether its own blocks cannot be read from the disks: no error says so, every native property is nil.
local function is_unreadable(name)
  return zfs.get_prop(name, "type") == nil
end

-- Sets user properties; returns the errno of the first that was refused, or 0.
local function set_all(name, properties)
  for property, value in pairs(properties) do
    local errno = zfs.sync.set_prop(name, property, value)
    if errno ~= 0 then
      return errno
    end
  end
  return 0
end

-- What a program returns whose last change had this errno.
local function outcome_of(errno)
  if errno ~= 0 then
    return {outcome = "refused", errno = errno}
  end
  return {outcome = "done"}
end
