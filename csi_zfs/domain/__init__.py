"""Values and rules of the product; the standard library only."""
