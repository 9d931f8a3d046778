"""What the demo does, one part of a volume's life in each module."""
