"""Datasets on OpenZFS, through its library libzfs_core."""
