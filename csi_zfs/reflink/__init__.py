"""The embedded pool: datasets as files of a reflink file system."""
