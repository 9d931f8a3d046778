"""Tests that need a real cluster: `make e2e-cluster`, or `python -m e2e.cluster run` for a part."""
