"""Measures the real driver: `make bench`.  Nothing in here is a test."""
