"""What froze a tensor, or all that a loss was computed from."""
