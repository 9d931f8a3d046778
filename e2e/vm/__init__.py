"""A virtual machine with real OpenZFS: built once, booted in seconds, thrown away after use."""
