-- Says who serves the pool from now on.
return outcome_of(zfs.sync.set_prop(argv.parent, "io.csi-zfs:served_by", argv.owner))
