"""A real S3 server, and what only one can show."""
