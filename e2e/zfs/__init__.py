"""Tests on real OpenZFS: they run in the guest of `e2e.vm`, or on a machine that has OpenZFS."""
