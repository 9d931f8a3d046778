"""Figures of the engine on real OpenZFS: `make bench-zfs`, run as a module in the guest."""
