"""What is run as a whole: the demo."""
