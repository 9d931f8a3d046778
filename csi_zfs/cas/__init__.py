"""The chunk store: BLAKE3(chunk) -> chunk, and manifests that say which chunks make a thing."""
