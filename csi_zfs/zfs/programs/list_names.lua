-- The names of all datasets.
local names = {}
for name in zfs.list.children(argv.home) do
  names[#names + 1] = name
end
return {outcome = "done", names = names}
