"""`python -m csi_zfs` is the csi-zfs command."""

from csi_zfs.cli.main import main

if __name__ == "__main__":
    main()
