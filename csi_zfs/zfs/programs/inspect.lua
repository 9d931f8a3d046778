-- A dataset that was made by hand: its native properties, those that it does not inherit, what is below it.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
local values, own = {}, {}
for _, property in ipairs(argv.native) do
  local value, source = zfs.get_prop(argv.name, property)
  values[property] = value
  own[property] = source == argv.name
end
local has_children = false
for _ in zfs.list.children(argv.name) do
  has_children = true
end
return {outcome = "done", values = values, own = own, has_children = has_children}
