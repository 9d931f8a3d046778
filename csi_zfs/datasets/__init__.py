"""What an engine of datasets promises, and how datasets are named."""
