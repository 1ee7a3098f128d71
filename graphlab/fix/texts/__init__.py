"""The program's files as text, as they stand and as repairs make them."""
