"""Tests that start the real driver, or what starts it, as processes of their own."""
