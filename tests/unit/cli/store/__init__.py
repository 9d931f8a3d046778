"""The store commands, each for real on a store in a directory."""
