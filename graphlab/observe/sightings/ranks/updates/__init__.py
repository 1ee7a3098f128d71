"""What changes an optimizer's update on one rank, and not on another."""
