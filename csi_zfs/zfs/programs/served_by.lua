-- Who said last that it serves the pool.
return {outcome = "done", owner = (zfs.get_prop(argv.parent, "io.csi-zfs:served_by"))}
