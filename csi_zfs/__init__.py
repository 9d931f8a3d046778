"""csi-zfs: node-local volumes for Kubernetes, with snapshots that travel."""
