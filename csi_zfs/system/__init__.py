"""The only doors to the machine: child processes, durable files, clock, digest."""
