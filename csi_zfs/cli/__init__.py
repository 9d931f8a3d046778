"""The csi-zfs command."""
