"""What the product does, over the engines' protocols."""
