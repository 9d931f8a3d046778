"""What is in the streams of `zfs send`: the format alone, without pools and without files."""
