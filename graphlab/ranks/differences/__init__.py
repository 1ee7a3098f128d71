"""What is compared of several ranks' traces, one kind of fact a module."""
