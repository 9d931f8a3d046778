"""Where the chunk store keeps its objects: a directory, or S3 and what is like it."""
