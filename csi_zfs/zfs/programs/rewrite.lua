-- Replaces a record as a whole, if it is still the one that was read.
if not zfs.exists(argv.name) then
  return {outcome = "absent"}
end
if record_of(argv.name, argv.property) ~= argv.record then
  return {outcome = "changed"}
end
return outcome_of(set_all(argv.name, argv.properties))
