"""Devices, file systems and mounts of this node."""
