"""What an optimizer could not be given when it was built."""
