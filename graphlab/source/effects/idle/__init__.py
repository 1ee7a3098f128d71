"""What statements do that comes to nothing: a value that nobody reads, a call that is none."""
