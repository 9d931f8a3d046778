-- Takes all snapshots, each with a record of its own, or none.
for _, name in ipairs(argv.names) do
  if zfs.exists(name) then
    return {outcome = "exists", name = name}
  end
  local errno = zfs.check.snapshot(name)
  if errno == argv.again then
    return {outcome = "again", name = name}
  elseif errno ~= 0 then
    return {outcome = "refused", name = name, errno = errno}
  end
end

local function take(name)
  local errno = zfs.sync.snapshot(name)
  if errno == 0 then
    errno = set_all(name, argv.records[name])
  end
  return errno
end

for index, name in ipairs(argv.names) do
  local errno = take(name)
  if errno ~= 0 then
    for taken = 1, index do
      zfs.sync.destroy(argv.names[taken])
    end
    return {outcome = "refused", name = name, errno = errno}
  end
end
return {outcome = "done"}
