-- The records of the datasets that are named and still there; one without a record is not ours.
local records = {}
for _, name in ipairs(argv.names) do
  if zfs.exists(name) then
    records[name] = record_of(name, argv.property)
  end
end
return {outcome = "done", records = records}
