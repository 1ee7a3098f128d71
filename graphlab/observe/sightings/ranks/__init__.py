"""What one rank of several is seen to do."""
