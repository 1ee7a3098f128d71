"""What is particular to a program that runs as one of several ranks."""
