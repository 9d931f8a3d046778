-- What there is for everything below the parent, with quotas and reservations counted.
return {
  outcome = "done",
  available = (zfs.get_prop(argv.parent, "available")),
  used = (zfs.get_prop(argv.parent, "used")),
}
