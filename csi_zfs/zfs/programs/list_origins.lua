-- The origins of the clones that are named and still there.
local origins = {}
for _, name in ipairs(argv.names) do
  if zfs.exists(name) then
    origins[name] = (zfs.get_prop(name, "origin"))
  end
end
return {outcome = "done", origins = origins}
